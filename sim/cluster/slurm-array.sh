#!/bin/bash
# A swarm of seeds as a Slurm array: each task runs its share, and what it has
# finished survives a kill, a time limit and a requeue.
#
#   mkdir results
#   sbatch --array=1-64 --cpus-per-task=16 \
#       --export=ALL,SIM=$PWD/sim,SEEDS=0..1000000000,SCENARIOS=chaos,RESULTS=$PWD/results \
#       slurm-array.sh
#   sim swarm-merge results/*.results     # the summary, or what is missing
#
# The array's size is the number of shards: leave no gaps in it, and give the
# same SEEDS and SCENARIOS to all tasks. A task that failed for good:
#   scontrol requeue JOB_TASK             # goes on from its results file
# Do not submit it alone with --array=7: an array of one task is the whole swarm.
#SBATCH --job-name=swarm
#SBATCH --array=1-4
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=swarm-%A_%a.log
#SBATCH --signal=TERM@60
set -eu
: "${SIM:=sim}" "${SEEDS:=0..1000000}" "${SCENARIOS:=chaos}" "${RESULTS:=.}"

# Which part it is, sim reads from SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT.
# exec: signals reach sim itself, which then ends with 130 and keeps its seeds.
# shellcheck disable=SC2086 # several scenarios are several words
exec "$SIM" swarm --seeds "$SEEDS" --scenario $SCENARIOS \
    --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --results "$RESULTS/swarm-${SLURM_ARRAY_TASK_ID:?sbatch this file}.results"
