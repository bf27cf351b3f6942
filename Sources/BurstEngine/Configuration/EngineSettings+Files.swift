extension EngineSettings {
    /// Takes over what the two files say. What they do not say (the host's name and zone, the folder of the state, the
    /// number of SlurmUser) is the daemon's to fill in.
    /// - Parameter burst: nil: no plugin is configured.
    package mutating func take(_ slurm: SlurmConf, burst: BurstBufferConf?) {
        clusterName = slurm.clusterName
        if let name = slurm.defaultPartition?.name ?? slurm.partitions.last?.name { partition = name }
        if let first = slurm.nodes.first { cpus = first.cpus }
        let limits = slurm.defaultPartition ?? slurm.partitions.last
        maxTimeLimitMinutes = limits?.maxTimeMinutes
        defaultTimeLimitMinutes = limits?.defaultTimeMinutes
        minJobAgeSeconds = Int(slurm.minJobAgeSeconds)
        maxJobCount = Int(slurm.maxJobCount)
        maxArraySize = slurm.maxArraySize
        arrayStageCount = Int(slurm.schedulerParameters.arrayStageCount)
        killWaitSeconds = Int(slurm.killWaitSeconds)
        if let folder = slurm.stateSaveLocation { stateFolder = folder }
        plugin = burst.map(Plugin.init)
    }
}

extension EngineSettings.Plugin {
    package init(_ conf: BurstBufferConf) {
        self.init()
        name = conf.plugin.rawValue
        directive = conf.directive
        allowedUserIDs = conf.allowedUserIDs.map { Set($0) }
        deniedUserIDs = Set(conf.deniedUserIDs ?? [])
        tearsDownAfterFailure = conf.flags.contains(.teardownFailure)
        hidesOthers = conf.flags.contains(.privateData)
        otherTimeout = conf.otherTimeout
        stageInTimeout = conf.stageInTimeout
        stageOutTimeout = conf.stageOutTimeout
        pollInterval = conf.pollInterval
        validateTimeout = conf.validateTimeout
        defaultPool = conf.defaultPool
        allowsPersistent = conf.flags.contains(.enablePersistent)
        emulatesCray = conf.flags.contains(.emulateCray)
        listedPools = conf.pools.map(\.name)
        shown.granularity = conf.granularity
        shown.flags = conf.flags.text
        shown.getSysState = conf.getSysState
        shown.getSysStatus = conf.getSysStatus
        shown.allowUsers = conf.allowUsers
        shown.denyUsers = conf.denyUsers
        shown.createBuffer = conf.createBuffer
        shown.destroyBuffer = conf.destroyBuffer
        shown.startStageIn = conf.startStageIn
        shown.startStageOut = conf.startStageOut
        shown.stopStageIn = conf.stopStageIn
        shown.stopStageOut = conf.stopStageOut
    }
}
