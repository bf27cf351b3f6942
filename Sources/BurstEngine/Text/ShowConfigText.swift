import BurstModel

extension EngineText {
    /// `scontrol show config`: the keys that mean something here, in Slurm's layout.
    package func showConfig() -> [UInt8] {
        var text = TextBytes(zone: settings.zone, expectedCount: 2048)
        text.add("Configuration data as of ")
        text.add(time: now)
        text.add("\n")
        func key(_ name: String, _ value: String) {
            text.add(text: name + String(repeating: " ", count: max(0, 23 - name.utf8.count)) + " = " + value + "\n")
        }
        key("BurstBufferType", settings.plugin.map { "burst_buffer/" + $0.name } ?? "(null)")
        key("ClusterName", settings.clusterName)
        key("KillWait", "\(settings.killWaitSeconds) sec")
        key("MaxArraySize", "\(settings.maxArraySize)")
        key("MaxJobCount", "\(settings.maxJobCount)")
        key("MinJobAge", "\(settings.minJobAgeSeconds) sec")
        key("NEXT_JOB_ID", "\(nextJobID)")
        key("SchedulerParameters", "bb_array_stage_cnt=\(settings.arrayStageCount)")
        key("SlurmctldHost[0]", settings.hostName)
        key("SlurmUser", "(\(settings.slurmUserID))")
        key("SLURM_VERSION", "26.05-burst")
        key("StateSaveLocation", settings.stateFolder)
        text.add("\nSlurmctld(primary) at ")
        text.add(text: settings.hostName)
        text.add(" is UP\n")
        return text.bytes
    }
}
