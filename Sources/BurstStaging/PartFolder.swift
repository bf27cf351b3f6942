import Glibc

/// The folder through which several hosts share one order (staging.md §4.8): on a file system that all of them have,
/// the user's own.
///
///     cut                  how many parts there are, and what is in all of them; written last
///     part.K.list          what part K, from 0, is to copy: `TRANSFER/PATH`, each with a byte 0 at its end
///     part.K.journal       its journal
///     part.K.report        its report
struct PartFolder: Hashable, Sendable {
    /// What was cut.
    struct Cut: Hashable, Sendable {
        var parts: Int
        /// How many there ever were: those that are no more have journals too.
        var partsEver: Int
        var files: Int
        var bytes: Int64
        /// Of the order.
        var plan: Key
    }

    let path: [UInt8]
    static let partsMax = 4096

    func file(_ name: String) -> [UInt8] { path + Array("/\(name)".utf8) }
    func list(_ part: Int) -> [UInt8] { file("part.\(part).list") }
    func journal(_ part: Int) -> [UInt8] { file("part.\(part).journal") }
    func report(_ part: Int) -> [UInt8] { file("part.\(part).report") }

    /// Nil: nothing was cut yet.
    func cut() throws(SystemFault) -> Cut? {
        let fd = open(chars(file("cut")), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        if fd < 0, errno == ENOENT { return nil }
        _ = try check(fd, "open")
        defer { close(fd) }
        var block = [UInt8](repeating: 0, count: 256)
        let count = try check(read(fd, &block, block.count), "read")
        let words = String(decoding: block[..<count], as: UTF8.self).split { $0 == " " || $0 == "\n" }
        guard words.count == 6, let parts = Int(words[0]), (1...Self.partsMax).contains(parts),
            let ever = Int(words[1]), (parts...Self.partsMax).contains(ever), let files = Int(words[2]),
            let bytes = Int64(words[3]), let high = UInt64(words[4], radix: 16), let low = UInt64(words[5], radix: 16)
        else { throw SystemFault("the file cut is damaged; remove it", EINVAL) }
        return Cut(parts: parts, partsEver: ever, files: files, bytes: bytes, plan: Key(high: high, low: low))
    }

    func write(_ parts: [PlanCutter.Part], plan: Key) throws(SystemFault) {
        let ever = max(parts.count, try cut()?.partsEver ?? 0)
        for (number, part) in parts.enumerated() { try write(part.paths, to: list(number)) }
        let files = parts.reduce(0) { $0 + $1.files }
        let bytes = parts.reduce(0) { $0 + $1.bytes }
        let high = String(plan.high, radix: 16)
        let low = String(plan.low, radix: 16)
        try write(Array("\(parts.count) \(ever) \(files) \(bytes) \(high) \(low)\n".utf8), to: file("cut"))
    }

    /// Whole or not at all.
    private func write(_ bytes: [UInt8], to path: [UInt8]) throws(SystemFault) {
        let new = chars(path + Array(".new".utf8))
        let fd = try check(
            open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600), "open")
        defer { close(fd) }
        var written = 0
        while written < bytes.count {
            written += try check(
                bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress! + written, $0.count - written) }, "write")
        }
        _ = try check(fsync(fd), "fsync")
        _ = try check(rename(new, chars(path)), "rename")
    }

    /// Removes all that was ever put here; what others put stays, and the folder with it.
    func remove() {
        guard let cut = try? cut() else { return }
        for part in 0..<cut.partsEver {
            for file in [list(part), journal(part), report(part)] { unlink(chars(file)) }
        }
        unlink(chars(file("cut")))
        rmdir(chars(path))
    }

    /// What a part has done; nothing where it has not begun.
    func past(of part: Int) throws(Journal.Fault) -> Journal.Past {
        let fd = open(chars(journal(part)), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        if fd < 0, errno == ENOENT { return Journal.Past() }
        guard fd >= 0 else { throw .refused(SystemFault("open")) }
        defer { close(fd) }
        return try Journal.past(of: fd)
    }
}

extension StageOrder {
    /// A folder that nobody else named holds nothing that anybody would look for: its user named the journal too.
    func forgetParts(after exit: StageExit) {
        guard exit == .complete, let parts, case .descriptor = journal else { return }
        PartFolder(path: parts).remove()
    }

    /// The order of one of its parts.
    func part(_ number: Int, in folder: PartFolder) -> StageOrder {
        var order = self
        order.token = partToken(number)
        order.journal = .path(folder.journal(number))
        order.report = .path(folder.report(number))
        order.part = number
        // The plan as a whole was held against it.
        order.capacityBytes = 0
        order.capacityInodes = 0
        return order
    }

    /// A tag of its own keeps a part's temporary files from those of the others.
    func partToken(_ number: Int) -> String { "\(token).p\(number)" }
}
