#!/bin/sh
#BB_LUA pool=scratch capacity=768MiB
#demo in 3 0.8
#demo out 4 1
cat "$BB_DIR"/in* | cksum; sleep 15
