#!/bin/bash
# The tests of one's own service as a Slurm array: each task runs its part of the seeds
# of every test in a test binary, and what it saw is one small file for each test.
#
#   cargo test --release --no-run         # says where the binary is
#   mkdir results
#   sbatch --array=1-64 --cpus-per-task=16 \
#       --export=ALL,TEST=$PWD/target/release/deps/kv-0123,CYGNET_SEEDS=0..1000000,CYGNET_RESULTS=$PWD/results \
#       slurm-test-array.sh
#   CYGNET_MERGE=results target/release/deps/kv-0123 --nocapture
#
# The last line runs no seed: it adds up what the tasks left, test by test, and fails
# when one of them failed, is missing, or is there twice, when they are not the same
# program, and when no seed of all showed what `sometimes` and `reachable` ask for.
#
# The array's size is the number of parts: leave no gaps in it, and give the same
# CYGNET_SEEDS to all tasks. A task that failed or was killed begins anew:
#   scontrol requeue JOB_TASK
# Words behind the script's name go to the binary: the names of tests, for example.
#SBATCH --job-name=test
#SBATCH --array=1-4
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=test-%A_%a.log
set -eu
: "${TEST:?the test binary}" "${CYGNET_RESULTS:?a folder}" "${SLURM_ARRAY_TASK_ID:?sbatch this file}"
export CYGNET_RESULTS
# What fails is shrunk, and told in the log; its page, plan and capture are here.
export CYGNET_OUT="${CYGNET_OUT:-$CYGNET_RESULTS/failures}"

# Which part it is, the binary reads from SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT.
exec "$TEST" "$@"
