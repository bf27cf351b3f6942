#!/bin/sh
#BB_LUA pool=nvme capacity=48MiB
#demo in 2 0.5
#demo fail data_out the target is full
#demo cancel-after 90
cat "$BB_DIR"/in* | cksum; sleep 3
