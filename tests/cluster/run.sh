#!/usr/bin/env bash
# A real Slurm of one node in a temporary folder, and the checks of tests/cluster/check.py in it.
# Nothing outside that folder is written, and everything is shut down at the end, also after a failure.
# Usage: run.sh PYTHON   (with Snakemake and its slurm plugin in its environment)
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
python="$(realpath -s "${1:?give the Python interpreter}")"

if [ "$(id -u)" != 0 ]; then
	echo "error: the test cluster needs root, for slurmd to start jobs; run make cluster-test as root, in a container for example" >&2
	exit 1
fi
for tool in slurmctld slurmd munged; do
	if ! command -v "$tool" > /dev/null; then
		echo "Installing slurm-wlm and munge with apt-get"
		# the packages must not start services of their own
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends slurm-wlm munge; } \
			> /dev/null 2>&1 || { echo "error: slurm-wlm and munge could not be installed with apt-get; install them and run again" >&2; exit 1; }
		break
	fi
done

folder="$(mktemp -d /tmp/cluster-test.XXXXXX)"
chmod 755 "$folder" # munged refuses a socket that others cannot reach
cd "$folder"
mkdir -m 755 run spool state bin

LIMIT=600 # s, to come up and to end; only what hangs takes so long
export MLIPSHIFT_CLUSTER="$folder" # marks all processes of this cluster, its jobs included

# whether a condition comes true within the limit
comes() {
	for _ in $(seq $((LIMIT * 4))); do
		if eval "$1"; then return 0; fi
		sleep 0.25
	done
	return 1
}

# the processes of this cluster: its daemons, their jobs, and what these started
ours() {
	for process in /proc/[0-9]*; do
		if grep -qsz "^MLIPSHIFT_CLUSTER=$folder$" "$process/environ" || [[ "$(readlink "$process/cwd")" == "$folder"/* ]]; then
			echo "${process#/proc/}"
		fi
	done
}

stop() {
	status=$?
	trap '' INT TERM HUP
	set +e
	[ -z "${checks:-}" ] || kill -- "-$checks" 2> /dev/null # with the runs that it has started
	# slurmd has to be there until the last process of the last job has ended
	if [ -f "$folder/run/slurmctld.pid" ] && scancel --user root > /dev/null 2>&1; then comes '[ -z "$(squeue --noheader 2> /dev/null)" ]'; fi
	for name in slurmd slurmctld munged; do
		pid="$(cat "$folder/run/$name.pid" 2> /dev/null)" || continue
		kill "$pid" 2> /dev/null
		comes "! kill -0 $pid 2> /dev/null"
	done
	cd /
	[ -z "${guard:-}" ] || kill -9 -- "-$guard" 2> /dev/null
	left="$(ours)"
	if [ -n "$left" ]; then
		echo "had to be killed: $(ps -o comm= -p "${left//$'\n'/,}" | sort | uniq -c | xargs)" >&2
		kill -9 $left
	fi
	echo "Slurm is shut down"
	if [ "$status" = 0 ]; then rm -rf "$folder"; else echo "logs of Slurm and of the runs are kept in $folder" >&2; fi
	exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# a SIGKILL of this script leaves nothing behind either
set -m
(
	trap - EXIT
	cd /
	while kill -0 $$ 2> /dev/null; do sleep 1; done
	kill -9 $(ours)
) > /dev/null 2>&1 &
guard=$!
disown
set +m

# two ports that are free now
read -r port_controller port_node < <("$python" -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("", 0))
print(*(s.getsockname()[1] for s in held))')

cat > slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port_controller
SlurmdPort=$port_node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# no control groups: they cannot be had in every container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
# memory is a resource, and a job that uses more than it asked for is killed within a second
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# a time limit is a time limit
OverTimeLimit=0
KillWait=1
# a busy machine answers late, and is not broken for that
MessageTimeout=100
TCPTimeout=60
BatchStartTimeout=600
SlurmdTimeout=3600
UnkillableStepTimeout=600
# no accounting; finished jobs stay visible to squeue, and every one is in the completion log
AccountingStorageType=accounting_storage/none
MinJobAge=86400
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completed.txt
SchedulerParameters=sched_interval=1,batch_sched_delay=0
GresTypes=gpu
# more than the machine has, so that jobs that only sleep keep no others waiting
SlurmdParameters=config_overrides
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=compute Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
# a device that only has to be asked for
echo "Name=gpu File=/dev/null" > gres.conf
: > cgroup.conf

export SLURM_CONF="$folder/slurm.conf"
# the plugin takes SLURM_CONF away from srun inside a job, since real clusters have theirs in /etc
cat > bin/srun <<WRAPPER
#!/bin/sh
SLURM_CONF="$SLURM_CONF" exec "$(command -v srun)" "\$@"
WRAPPER
chmod 755 bin/srun
export PATH="$folder/bin:$PATH"

head -c 1024 /dev/urandom > munge.key
chmod 400 munge.key
munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.socket" --pid-file="$folder/run/munged.pid" \
	--log-file="$folder/munged.log" --seed-file="$folder/munge.seed" > munged.out 2>&1
slurmctld -c > slurmctld.out 2>&1
slurmd > slurmd.out 2>&1
if ! comes '[ "$(sinfo --noheader --format %T 2> /dev/null)" = idle ]'; then
	echo "error: Slurm did not come up: $(tail -qn 2 slurmctld.log slurmd.log munged.log 2> /dev/null | tr '\n' ' ')" >&2
	exit 1
fi
echo "$(slurmd -V) is up, one node"
setsid "$python" "$here/check.py" "$folder" &
checks=$! # in the background, so that a signal ends this script at once
wait "$checks"
