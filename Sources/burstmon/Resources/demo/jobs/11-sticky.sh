#!/bin/sh
#BB_LUA pool=nvme capacity=32MiB
#demo in 2 0.5
#demo out 2 0.5
#demo fail-times teardown 2 device is busy
cat "$BB_DIR"/in* | cksum; sleep 3
