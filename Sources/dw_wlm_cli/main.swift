import BurstStageClient
import BurstWire
import Glibc

_exit(StageProcess.main(.wlm))
