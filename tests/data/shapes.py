"""What every source says of its training part before it is read."""


def check_shapes(source, too_large=()):
    """Requires that `shapes` tells what `load` gives, and only labels `too_large` besides."""
    told = {name: (found.shape, found.dtype) for name, found in source.shapes().items()}
    train = {name: (array.shape, array.dtype) for name, array in source.load().train.items()}
    assert {name: told[name] for name in train} == train
    assert told.keys() - train.keys() == set(too_large)
