#!/bin/sh
#BB_LUA jobdw pool=nvme capacity=64MiB type=scratch access_mode=striped
#BB_LUA stage_in type=directory source=@ROOT@/data/no-setup destination=$DW_JOB_STRIPED/in
#BB_LUA stage_out type=directory source=$DW_JOB_STRIPED/out destination=@ROOT@/results/no-setup
#demo files 4
#demo fail setup no session: the storage is busy
#demo cancel-after 60
mkdir "$DW_JOB_STRIPED/out" && cp "$DW_JOB_STRIPED"/in/* "$DW_JOB_STRIPED/out"
sleep 5
