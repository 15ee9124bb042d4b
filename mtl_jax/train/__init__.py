"""The core: one pure step, and how its state begins and is judged."""

from mtl_jax.train.affinity import measure_affinity as measure_affinity
from mtl_jax.train.batch import example as example
from mtl_jax.train.batch import unlabelled_in as unlabelled_in
from mtl_jax.train.evaluate import judge as judge
from mtl_jax.train.evaluate import outputs_for as outputs_for
from mtl_jax.train.evaluate import read_for as read_for
from mtl_jax.train.precompute import begins as begins
from mtl_jax.train.precompute import opening as opening
from mtl_jax.train.state import Given as Given
from mtl_jax.train.state import Known as Known
from mtl_jax.train.state import Start as Start
from mtl_jax.train.state import Stream as Stream
from mtl_jax.train.state import Taught as Taught
from mtl_jax.train.state import TrainState as TrainState
from mtl_jax.train.state import create as create
from mtl_jax.train.state import draw as draw
from mtl_jax.train.state import net_of as net_of
from mtl_jax.train.state import outputs_of as outputs_of
from mtl_jax.train.step import build as build
from mtl_jax.train.toy import path as path
