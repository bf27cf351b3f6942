import BurstModel

/// How copies are made: the keys of `[staging]`, which a `[[pool]]` may have too.
extension PoolsFile {
    static let stagingKeys = [
        "verify", "copier", "copier_path", "copier_options", "launcher", "nodes", "nodes_from", "nodes_refused",
        "nodes_wait_seconds", "srun", "srun_options", "slurm_conf", "nice", "io_class",
    ]

    /// - Parameter settings: what holds where the table says nothing.
    static func settings(
        _ table: [String: TOMLDocument.Value], _ path: [String], _ settings: StagingSettings, _ document: TOMLDocument
    ) throws(FileFault) -> StagingSettings {
        var settings = settings
        for (key, value) in document.ordered(table, at: path) {
            let path = path + [key]
            switch key {
            case "verify": settings.verify = try document.word(value, at: path, as: StagingSettings.Verify.self)
            case "copier": settings.copier = try document.word(value, at: path, as: StagingSettings.Copier.self)
            case "copier_path": settings.copierPath = try absolute(value, path, document)
            case "copier_options": settings.copierOptions = try words(value, path, document)
            case "launcher": settings.launcher = try words(value, path, document)
            case "nodes": settings.nodes = try document.whole(value, at: path, in: 1...StagingSettings.nodesMax)
            case "nodes_from": settings.nodesFrom = try bytes(value, path, 0...UInt64(Int64.max), document)
            case "nodes_refused":
                settings.nodesRefused = try document.word(value, at: path, as: StagingSettings.NodesRefused.self)
            case "nodes_wait_seconds":
                settings.nodesWaitSeconds = try document.whole(
                    value, at: path, in: 1...StagingSettings.nodesWaitSecondsMax)
            case "srun": settings.srun = try absolute(value, path, document)
            case "srun_options": settings.srunOptions = try words(value, path, document)
            case "slurm_conf": settings.slurmConf = try absolute(value, path, document)
            case "nice": settings.nice = try document.whole(value, at: path, in: 0...StagingSettings.niceMax)
            case "io_class": settings.ioClass = try document.word(value, at: path, as: StagingSettings.IOClass.self)
            default: preconditionFailure("\(key) is a key without a reader")
            }
        }
        if settings.copier != .own, settings.nodes > 1 {
            throw document.fault(
                path + [table["nodes"] == nil ? "copier" : "nodes"],
                "nodes is \(settings.nodes) and copier \"\(settings.copier.rawValue)\"",
                "give \(settings.copier.rawValue) a launcher, or copy with \"\(StagingSettings.Copier.own.rawValue)\"")
        }
        for key in ["copier_path", "copier_options", "launcher"] where settings.copier == .own && table[key] != nil {
            throw document.fault(
                path + [key], "\(key) is for dcp and dsync, and copier is \"\(settings.copier.rawValue)\"",
                "write copier = \"dcp\" or \"dsync\", or leave \(key) out")
        }
        return settings
    }

    private static func absolute(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> String {
        let text = try document.text(value, at: path, bytesMax: 1024)
        if text.hasPrefix("/"), !text.hasSuffix("/") { return text }
        throw document.fault(path, "\(path.last ?? "") is \(quoted(text))", "write an absolute path")
    }

    /// Words of a command, none of which a shell reads.
    private static func words(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> [String] {
        let words = try document.texts(value, at: path, countMax: StagingSettings.wordsMax)
        for word in words where word.isEmpty || word.contains(where: \.isNewline) || word.utf8.contains(0) {
            throw document.fault(path, "\(path.last ?? "") holds \(quoted(word))", "write each word as a string")
        }
        return words
    }
}
