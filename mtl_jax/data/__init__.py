"""Data sources, labelled subsets and stateless batch sampling.

Example:
  >>> from mtl_jax import data
  >>> splits = data.TwoMoons(train=100).load()
  >>> splits.train["inputs"].shape, splits.test["inputs"].shape
  ((100, 1, 2), (1000, 1, 2))
"""

from mtl_jax.core import typechecked
from mtl_jax.data.arrays import Arrays as Arrays
from mtl_jax.data.datasets.camvid import CamVid as CamVid
from mtl_jax.data.datasets.celeba import CelebA as CelebA
from mtl_jax.data.datasets.cityscapes import Cityscapes as Cityscapes
from mtl_jax.data.datasets.digits import Digits as Digits
from mtl_jax.data.datasets.digits import MultiDigits as MultiDigits
from mtl_jax.data.datasets.digits import SingleDigits as SingleDigits
from mtl_jax.data.datasets.fashion import FashionMNIST as FashionMNIST
from mtl_jax.data.datasets.medmnist import MedMNIST as MedMNIST
from mtl_jax.data.datasets.mnist5k import MNIST5k as MNIST5k
from mtl_jax.data.datasets.nyuv2 import NYUv2 as NYUv2
from mtl_jax.data.datasets.overlay import Overlay as Overlay
from mtl_jax.data.datasets.qm9 import QM9 as QM9
from mtl_jax.data.datasets.qm9_files import QM9Files as QM9Files
from mtl_jax.data.datasets.small_digits import SmallDigits as SmallDigits
from mtl_jax.data.datasets.small_digits import SmallMNIST as SmallMNIST
from mtl_jax.data.datasets.tfds import Tfds as Tfds
from mtl_jax.data.datasets.tfds import prepare as prepare
from mtl_jax.data.datasets.two_moons import TwoMoons as TwoMoons
from mtl_jax.data.datasets.ucr import UCR as UCR
from mtl_jax.data.datasets.yeast import Yeast as Yeast
from mtl_jax.data.derived_labels import DerivedLabels as DerivedLabels
from mtl_jax.data.domains import Domains as Domains
from mtl_jax.data.epochs import steps_per_epoch as steps_per_epoch
from mtl_jax.data.files.arrow_table import ArrowTable as ArrowTable
from mtl_jax.data.files.back_translated import BackTranslatedTexts as BackTranslatedTexts
from mtl_jax.data.files.boxes import Boxes as Boxes
from mtl_jax.data.files.coco_layout import COCO as COCO
from mtl_jax.data.files.dense_folder import DenseFolder as DenseFolder
from mtl_jax.data.files.folder import Folder as Folder
from mtl_jax.data.files.image_lists import ImageLists as ImageLists
from mtl_jax.data.files.image_table import ImageTable as ImageTable
from mtl_jax.data.files.label_maps import ClassMap as ClassMap
from mtl_jax.data.files.label_maps import NumberMap as NumberMap
from mtl_jax.data.files.npy_files import NpyFiles as NpyFiles
from mtl_jax.data.files.synonyms import read_synonyms as read_synonyms
from mtl_jax.data.files.table import Table as Table
from mtl_jax.data.files.texts import Texts as Texts
from mtl_jax.data.files.voc_layout import VOC as VOC
from mtl_jax.data.files.wordpiece import WordPiece as WordPiece
from mtl_jax.data.fixed_labels import FixedLabels as FixedLabels
from mtl_jax.data.label_functions import BoxCount as BoxCount
from mtl_jax.data.label_functions import BoxPresence as BoxPresence
from mtl_jax.data.label_functions import ClassPresence as ClassPresence
from mtl_jax.data.label_functions import ClassShare as ClassShare
from mtl_jax.data.labels import has_label as has_label
from mtl_jax.data.labels import held_out as held_out
from mtl_jax.data.labels import sample_labelled_subset as sample_labelled_subset
from mtl_jax.data.masked_labels import MaskedLabels as MaskedLabels
from mtl_jax.data.multi_input import Input as Input
from mtl_jax.data.multi_input import MultiInput as MultiInput
from mtl_jax.data.partial_annotation import PartialAnnotation as PartialAnnotation
from mtl_jax.data.per_seed import PerSeed as PerSeed
from mtl_jax.data.resized import Resized as Resized
from mtl_jax.data.sampler import batch_index as batch_index
from mtl_jax.data.splits import read_splits as read_splits
from mtl_jax.data.splits import write_splits as write_splits
from mtl_jax.data.standardized_labels import StandardizedLabels as StandardizedLabels

typechecked.typecheck_exports(globals())
