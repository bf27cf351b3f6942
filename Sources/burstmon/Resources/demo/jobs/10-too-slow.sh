#!/bin/sh
#BB_LUA pool=scratch capacity=128MiB
#demo in 60 1
#demo cancel-after 60
cat "$BB_DIR"/in* | cksum; sleep 3
