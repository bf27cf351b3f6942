#!/bin/sh
#BB_LUA pool=scratch capacity=1GiB
#demo in 6 1
#demo out 6 1
cat "$BB_DIR"/in* | cksum; sleep 10
