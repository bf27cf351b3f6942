extension BurstReport {
    /// How `scontrol show burst` was asked: `-o` joins the header into one line, `-v` adds account, partition and QOS.
    package struct Layout: Hashable, Sendable {
        package var oneLine: Bool
        package var verbose: Bool

        package init(oneLine: Bool = false, verbose: Bool = false) {
            self.oneLine = oneLine
            self.verbose = verbose
        }
    }

    /// What `scontrol show burst` prints, byte for byte (spec §8.1). The line `PollInterval=` stands where the value is
    /// known, which makes the difference between the layouts of 22.05 and 26.05.
    package func slurmText(_ layout: Layout = Layout()) -> String {
        plugins.map { $0.slurmText(layout) }.joined()
    }
}

extension PluginRecord {
    fileprivate func slurmText(_ layout: BurstReport.Layout) -> String {
        let lineStart = layout.oneLine ? " " : "\n  "
        var text = "Name=\(name) DefaultPool=\(defaultPool ?? "(null)") Granularity=\(granularity.text)"
        text += " TotalSpace=\(total.text) FreeSpace=\(free.text) UsedSpace=\(used.text)"
        for part in header.isEmpty ? standardHeader : header {
            switch part {
            case .pool(let index):
                let pool = alternatePools[index]
                text += lineStart + "PoolName[\(index)]=\(pool.name) Granularity=\(pool.granularity.text)"
                text += " TotalSpace=\(pool.total.text) FreeSpace=\(pool.free.text) UsedSpace=\(pool.used.text)"
            case .flags:
                text += lineStart + "Flags=" + flags.joined(separator: ",")
            case .pollInterval:
                if let pollInterval { text += lineStart + "PollInterval=\(pollInterval)" }
            case .timeouts:
                text += lineStart + "StageInTimeout=\(stageInTimeout) StageOutTimeout=\(stageOutTimeout)"
                text += " ValidateTimeout=\(validateTimeout) OtherTimeout=\(otherTimeout)"
            case .setting(let index):
                text += lineStart + "\(settings[index].label)=\(settings[index].value ?? "(null)")"
            case .unknown(let key, let value, let startsLine):
                text += (startsLine ? lineStart : " ") + "\(key)=\(value)"
            }
        }
        text += "\n"
        if !buffers.isEmpty {
            text += "  Allocated Buffers:\n"
            for buffer in buffers { buffer.write(to: &text, verbose: layout.verbose) }
        }
        if !users.isEmpty {
            text += "  Per User Buffer Use:\n"
            for use in users { text += "    UserID=\(use.user)(\(use.uid)) Used=\(use.used.text)\n" }
        }
        return text
    }

    /// Slurm's order of the header's lines.
    package var standardHeader: [HeaderPart] {
        var parts = alternatePools.indices.map(HeaderPart.pool)
        parts.append(.flags)
        if pollInterval != nil { parts.append(.pollInterval) }
        parts.append(.timeouts)
        parts += settings.indices.map(HeaderPart.setting)
        return parts
    }
}

extension Buffer {
    fileprivate func write(to text: inout String, verbose: Bool) {
        text += "    " + id.slurmText
        func add(_ key: String, _ value: String) {
            text += " \(key)=\(value)"
            for field in extra where field.after == key { text += " \(field.key)=\(field.value)" }
        }
        for field in extra where field.after.isEmpty { text += " \(field.key)=\(field.value)" }
        if verbose { add("Account", account ?? "(null)") }
        add("CreateTime", createdLocal?.text ?? createdText ?? "Unknown")
        if verbose { add("Partition", partition ?? "(null)") }
        add("Pool", pool ?? "(null)")
        if verbose { add("QOS", qos ?? "(null)") }
        add("Size", size.text)
        add("State", state.name)
        add("UserID", "\(user)(\(uid))")
        text += "\n"
    }

    /// The row as Slurm prints it, without indentation and line end.
    package func slurmText(verbose: Bool = true) -> String {
        var text = ""
        write(to: &text, verbose: verbose)
        return String(text.dropFirst(4).dropLast())
    }
}
