#!/bin/sh
#BB_LUA jobdw pool=nvme capacity=768MiB type=scratch access_mode=striped
#BB_LUA stage_in type=directory source=@ROOT@/data/large destination=$DW_JOB_STRIPED/in
#BB_LUA stage_out type=directory source=$DW_JOB_STRIPED/out destination=@ROOT@/results/large
#demo files 20
mkdir "$DW_JOB_STRIPED/out" && cp "$DW_JOB_STRIPED"/in/* "$DW_JOB_STRIPED/out"
sleep 6
