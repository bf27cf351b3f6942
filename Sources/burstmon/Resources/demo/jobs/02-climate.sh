#!/bin/sh
#BB_LUA pool=scratch capacity=512MiB
#demo in 8 1
#demo out 6 1
cat "$BB_DIR"/in* | cksum; sleep 8
