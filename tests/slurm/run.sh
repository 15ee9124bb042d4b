#!/usr/bin/env bash
# Trains an experiment on a real SLURM of one node, which preempts a run again and again, and compares
# with an ordinary launch. Needs root, and the packages slurm-wlm, munge (apt) and submitit (pip).
set -euo pipefail
cd "$(dirname "$0")/../.."
for command in munged slurmctld slurmd sbatch; do
  command -v "$command" >/dev/null || { echo "needs $command: apt-get install --no-install-recommends slurm-wlm munge"; exit 2; }
done
python -c "import submitit" || { echo "needs submitit: pip install submitit"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root, to be SLURM's daemons"; exit 2; }

work=$(mktemp -d)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} JAX_PLATFORMS=cpu SLURM_CONF=$work/slurm.conf
node=$(hostname -s)
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=low Nodes=$node PriorityTier=1 Default=YES MaxTime=60
PartitionName=graced Nodes=$node PriorityTier=1 GraceTime=60 MaxTime=60
PartitionName=high Nodes=$node PriorityTier=10 MaxTime=60
CONF
mkdir "$work/state" "$work/spool"
# Ends everything, and keeps the folder if something was wrong.
stop() {
  local code=$?
  scancel --me --quiet || true
  timeout 60 sh -c 'while [ -n "$(squeue --me --noheader)" ]; do sleep 1; done' || true
  for daemon in slurmd slurmctld munged; do
    [ ! -s "$work/$daemon.pid" ] || kill "$(cat "$work/$daemon.pid")" 2>/dev/null || true
  done
  if [ $code = 0 ]; then rm -r "$work"; else echo "failed; see $work"; fi
}
trap stop EXIT
if ! munge --no-input >/dev/null 2>&1; then
  install -d -o munge -g munge /run/munge
  runuser -u munge -- munged --force
  cp /run/munge/munged.pid "$work/munged.pid"
fi
slurmctld -c
slurmd -c

say() { echo "== $*"; }
launch() { python launch.py tests/slurm/several.py --out "$1" "${@:2}"; }
evaluations() { { cat "$work/slurm/source/metrics.jsonl" 2>/dev/null || true; } | wc -l; }
restarts() { scontrol show job "$1" | grep -o 'Restarts=[0-9]*'; }
# Waits, at most ten minutes, until a command succeeds.
until_true() {
  local seconds=0
  until eval "$1"; do
    sleep 0.2
    seconds=$((seconds + 1))
    [ $seconds -lt 3000 ] || { echo "waited in vain for: $1"; launch "$work/slurm" --status; exit 1; }
  done
}
# Waits until the source has made progress.
progress() { local before; before=$(evaluations); until_true "[ \$(evaluations) -gt $((before + 3)) ]"; }

say "an ordinary launch"
launch "$work/plain" || [ $? = 1 ] # A row fails.

say "submitted"
launch "$work/slurm" --slurm "partition=low,cpus-per-task=$(nproc),time=10" | tee "$work/submitted"
source=$(sed -n 's/^source: job //p' "$work/submitted")
progress
launch "$work/slurm" --status

say "SIGUSR2, as before a time limit"
scancel --signal=USR2 "$source"
until_true "restarts $source | grep -q =1"
launch "$work/slurm" --status

say "submitted again: the same job"
launch "$work/slurm" --only source --slurm "partition=low,cpus-per-task=$(nproc),time=10" | grep -x "source: job $source"
progress

say "preempted by a job of a higher partition"
sbatch --partition=high --cpus-per-task="$(nproc)" --output=/dev/null --wrap "sleep 3"
until_true "restarts $source | grep -q =2"
launch "$work/slurm" --status
progress

say "all jobs end"
until_true "[ -z \"\$(squeue --me --noheader)\" ]"
launch "$work/slurm" --status
restarts "$source"
tail -n 2 "$work/slurm/.slurm/${source}_0_log.err"
python -m tests.slurm.compare "$work/plain" "$work/slurm"
cat "$work/slurm/table.md"

say "preempted with a grace time, at whose end a job must not have ended by itself"
graced=(--only source --set steps=5000)
launch "$work/graced" "${graced[@]}" --slurm "partition=graced,cpus-per-task=$(nproc),time=10" | tee "$work/submitted"
graced_source=$(sed -n 's/^source: job //p' "$work/submitted")
until_true "[ -s '$work/graced/source/metrics.jsonl' ]"
sbatch --partition=high --cpus-per-task="$(nproc)" --output=/dev/null --wrap "sleep 3"
until_true "restarts $graced_source | grep -q =1"
until_true "[ -z \"\$(squeue --me --noheader)\" ]"
launch "$work/graced_plain" "${graced[@]}"
python -m tests.slurm.compare "$work/graced_plain" "$work/graced"

say "cancelled, and submitted once more"
launch "$work/cancelled" --only source --slurm "partition=low,cpus-per-task=$(nproc),time=10" | tee "$work/submitted"
until_true "[ -s '$work/cancelled/source/metrics.jsonl' ]"
scancel "$(sed -n 's/^source: job //p' "$work/submitted")"
until_true "[ -z \"\$(squeue --me --noheader)\" ]"
launch "$work/cancelled" --only source --status | grep "is over"
launch "$work/cancelled" --only source --slurm "partition=low,cpus-per-task=$(nproc),time=10"
until_true "[ -z \"\$(squeue --me --noheader)\" ]"
launch "$work/cancelled" --only source --status | grep finished

say "two tasks train a row together, and are preempted"
launch "$work/together" --only source --slurm "partition=low,ntasks-per-node=2,time=10" | tee "$work/submitted"
together=$(sed -n 's/^source: job //p' "$work/submitted")
until_true "[ -s '$work/together/source/metrics.jsonl' ]"
grep -q '"devices": "2 x cpu"' "$work/together/source/run.json"
scancel --signal=USR2 "$together"
until_true "restarts $together | grep -q =1"
until_true "[ -z \"\$(squeue --me --noheader)\" ]"
launch "$work/together" --only source --status | grep finished
python launch.py --compare "$work/plain" "$work/together" | head -n 4

say "rejected by SLURM in a line"
if launch "$work/rejected" --slurm partition=none,time=10 2>"$work/rejected.err"; then exit 1; fi
cat "$work/rejected.err"
[ "$(wc -l <"$work/rejected.err")" = 1 ]
say "passed"
