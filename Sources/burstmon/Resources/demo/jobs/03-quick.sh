#!/bin/sh
#BB_LUA jobdw pool=nvme capacity=32MiB type=scratch access_mode=striped
#BB_LUA stage_in type=directory source=@ROOT@/data/quick destination=$DW_JOB_STRIPED/in
#BB_LUA stage_out type=directory source=$DW_JOB_STRIPED/out destination=@ROOT@/results/quick
#demo files 2
for round in 1 2 3 4; do mkdir -p "$DW_JOB_STRIPED/out/$round" && cp "$DW_JOB_STRIPED"/in/* "$DW_JOB_STRIPED/out/$round"; done
sleep 1
