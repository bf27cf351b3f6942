#!/bin/sh
#BB_LUA jobdw pool=nvme capacity=32MiB type=scratch access_mode=striped
#BB_LUA stage_in type=directory source=@ROOT@/data/sticky destination=$DW_JOB_STRIPED/in
#BB_LUA stage_out type=directory source=$DW_JOB_STRIPED/out destination=@ROOT@/results/sticky
#demo files 4
#demo fail-times teardown 2 device is busy
mkdir "$DW_JOB_STRIPED/out" && cp "$DW_JOB_STRIPED"/in/* "$DW_JOB_STRIPED/out"
sleep 3
