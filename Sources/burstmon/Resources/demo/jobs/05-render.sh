#!/bin/sh
#BB_LUA pool=scratch capacity=256MiB
#demo in 4 1
#demo out 5 1
cat "$BB_DIR"/in* | cksum; sleep 6
