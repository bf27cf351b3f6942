#!/bin/sh
#BB_LUA jobdw pool=nvme capacity=48MiB type=scratch access_mode=striped
#BB_LUA stage_in type=directory source=@ROOT@/data/no-return destination=$DW_JOB_STRIPED/in
#BB_LUA stage_out type=directory source=$DW_JOB_STRIPED/out destination=@ROOT@/results/full/no-return
#demo files 4
#demo cancel-after 90
mkdir "$DW_JOB_STRIPED/out" && cp "$DW_JOB_STRIPED"/in/* "$DW_JOB_STRIPED/out"
sleep 3
