"""Extensions of a run's step: the user's, and those that its settings require."""

from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.step_extension import POST_STEP, AfterContext, StepExtension
from mtl_jax.core.step_types import TrainState
from mtl_jax.train.policy_update import PolicyUpdate


class PostStep(StepExtension):
    """Passes the losses at the updated parameters, on the same batch, to a balancing method."""

    name = POST_STEP

    def after_step(self, context: AfterContext, state: TrainState) -> TrainState:
        """Returns the state with the updated state of the balancing method."""
        trained, _ = partition_params(state.params, context.run.param_rules)
        losses = context.losses(trained)
        own = context.run.balance.post_step(losses, state.balance_state)
        return state._replace(balance_state=own)


def extensions_of(run: Run) -> tuple[StepExtension, ...]:
    """The extensions of a run, in order of execution."""
    own = (PostStep(),) if run.balance.uses_post_step else ()
    policy = (
        (PolicyUpdate(run.augmentation.strong),)
        if isinstance(run.augmentation.strong, LearnablePolicy)
        else ()
    )
    return (*own, *policy, *run.extensions)
