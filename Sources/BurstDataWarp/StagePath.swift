/// A path below the root of a buffer: names parted by `/`, without `.`, `..` and empty ones; no names at all are the
/// root.
package struct BufferPath: Hashable, Sendable {
    /// `a/b`; empty: the root.
    package let bytes: [UInt8]
    /// It ended with `/`, or is the root: surely a folder.
    package let isFolder: Bool

    /// - Throws: `..`, a zero byte or a name that no file system holds.
    package init(_ text: some Collection<UInt8>) throws(ErrorLine) {
        var shown: String { ErrorLine.name(text) }
        guard text.count <= DirectiveLimits.pathBytesMax else {
            throw ErrorLine("\(shown): a path is at most \(DirectiveLimits.pathBytesMax) bytes long")
        }
        guard !text.contains(0) else { throw ErrorLine("\(shown): a path holds no zero byte") }
        var names: [[UInt8]] = []
        for name in Array(text).split(separator: UInt8(ascii: "/")) where !name.elementsEqual(".".utf8) {
            if name.elementsEqual("..".utf8) {
                throw ErrorLine("\(shown): .. leads out of the buffer; write the path without it")
            }
            if name.count > DirectiveLimits.fileNameBytesMax {
                throw ErrorLine("\(shown): a name is at most \(DirectiveLimits.fileNameBytesMax) bytes long")
            }
            names.append(Array(name))
        }
        bytes = Array(names.joined(separator: [UInt8(ascii: "/")]))
        isFolder = names.isEmpty || text.suffix(1).elementsEqual("/".utf8)
    }

    /// A name below this folder.
    func appending(_ name: ArraySlice<UInt8>) throws(ErrorLine) -> BufferPath {
        try BufferPath(bytes + (bytes.isEmpty ? [] : [UInt8(ascii: "/")]) + name)
    }
}

/// One side of a transfer.
package enum StageSide: Hashable, Sendable {
    package enum Buffer: Hashable, Sendable {
        /// The job's own, striped.
        case job
        case persistent(BufferName)
    }

    case buffer(Buffer, BufferPath)
    /// On the parallel file system: absolute, as written.
    case parallel([UInt8])

    /// For messages: as the user wrote it, more or less.
    var shown: String {
        switch self {
        case .buffer(.job, let path): "$DW_JOB_STRIPED/" + ErrorLine.name(path.bytes, bytesMax: 30)
        case .buffer(.persistent(let name), let path):
            "$" + ErrorLine.name(name.variable, bytesMax: 40) + "/" + ErrorLine.name(path.bytes, bytesMax: 20)
        case .parallel(let path): ErrorLine.name(path)
        }
    }

    // MARK: Reading

    private static let job = "DW_JOB_STRIPED"
    private static let persistent = "DW_PERSISTENT_STRIPED_"
    /// Other variables of the job that somebody may try.
    private static let refused: [String: String] = [
        "DW_JOB_PRIVATE": "private buffers are not staged; write $DW_JOB_STRIPED and access_mode=striped,private",
        "DW_JOB_STRIPED_CACHE": "a cache is filled from pfs=, not staged; write $DW_JOB_STRIPED and type=scratch",
        "DW_JOB_LDBAL_CACHE": "a cache is filled from pfs=, not staged; write $DW_JOB_STRIPED and type=scratch",
    ]

    /// Reads the value of `source=` or `destination=`, or a path of a list file. `$DW_JOB_STRIPED` and
    /// `$DW_PERSISTENT_STRIPED_name` are placeholders; no other variable is replaced (staging.md §1.5).
    /// - Parameters:
    ///   - key: for the message.
    ///   - mayHoldSymbols: symbols as `%d` are not replaced yet.
    package init(_ bytes: some Collection<UInt8>, key: String, mayHoldSymbols: Bool) throws(ErrorLine) {
        let text = Array(bytes)
        func fault(_ right: String) -> ErrorLine { ErrorLine("\(key)=\(ErrorLine.name(text)): \(right)") }
        guard let first = text.first else { throw ErrorLine("\(key)= has no value: write a path") }
        guard text.count <= DirectiveLimits.pathBytesMax else {
            throw fault("a path is at most \(DirectiveLimits.pathBytesMax) bytes long")
        }
        if text.contains(0) { throw fault("a path holds no zero byte") }
        if first == UInt8(ascii: "$"), let (buffer, rest) = try Self.placeholder(text, fault) {
            try Self.refuseVariables(rest, fault)
            let path: BufferPath
            do throws(ErrorLine) {
                path = try BufferPath(rest)
            } catch {
                throw ErrorLine("\(key)=\(error)")
            }
            self = .buffer(buffer, path)
            return
        }
        try Self.refuseVariables(text[...], fault)
        if first == UInt8(ascii: "~") { throw fault("~ is not replaced; write the path from / on, as /users/%u") }
        guard first == UInt8(ascii: "/") || mayHoldSymbols && text.starts(with: "%d".utf8) else {
            throw fault("is no path from / on; write it whole, or begin with %d for the work folder")
        }
        if text.split(separator: UInt8(ascii: "/")).contains(where: { $0.count > DirectiveLimits.fileNameBytesMax }) {
            throw fault("a name is at most \(DirectiveLimits.fileNameBytesMax) bytes long")
        }
        self = .parallel(text)
    }

    /// The buffer that the text names, and what follows its name. Nil: no name of a variable follows the `$`.
    private static func placeholder(
        _ text: [UInt8], _ fault: (String) -> ErrorLine
    ) throws(ErrorLine) -> (Buffer, ArraySlice<UInt8>)? {
        var name = text.dropFirst()
        let isBraced = name.first == UInt8(ascii: "{")
        if isBraced {
            name = name.dropFirst()
            guard let end = name.firstIndex(of: UInt8(ascii: "}")) else {
                throw fault("a brace is not closed; write ${\(job)}/PATH")
            }
            name = name[..<end]
        } else if name.starts(with: persistent.utf8) {
            name = name.prefix { $0 != UInt8(ascii: "/") }
        } else {
            name = name.prefix { ByteText.isLetter($0) || ByteText.isDigit($0) || $0 == UInt8(ascii: "_") }
        }
        let rest = text[(name.endIndex + (isBraced ? 1 : 0))...]
        if name.elementsEqual(job.utf8) { return (.job, rest) }
        if name.starts(with: persistent.utf8) {
            let buffer = name.dropFirst(persistent.utf8.count)
            if buffer.isEmpty { throw fault("names no buffer; write $\(persistent)NAME/PATH") }
            return (.persistent(try BufferName(buffer, what: "$" + persistent)), rest)
        }
        let variable = ByteText.string(name)
        if let why = refused[variable] { throw fault(why) }
        guard variable.hasPrefix("DW_"), let near = Nearest.word(to: name, among: [job, persistent]) else { return nil }
        throw fault("no such variable; write $\(near == persistent ? persistent + "NAME" : near)/PATH")
    }

    private static func refuseVariables(
        _ text: ArraySlice<UInt8>, _ fault: (String) -> ErrorLine
    ) throws(ErrorLine) {
        for index in text.indices where text[index] == UInt8(ascii: "$") {
            let name = text[(index + 1)...].drop { $0 == UInt8(ascii: "{") }
            let word = name.prefix { ByteText.isLetter($0) || ByteText.isDigit($0) || $0 == UInt8(ascii: "_") }
            if word.starts(with: job.utf8) || word.starts(with: persistent.utf8) {
                throw fault("$\(ErrorLine.name(word, bytesMax: 40)) has to begin the path")
            }
            let next = text[(index + 1)...].first
            if !word.isEmpty || next == UInt8(ascii: "(") || next == UInt8(ascii: "{") {
                throw fault("variables are not replaced here; write the path itself, or %u %j %x %d")
            }
        }
        if text.contains(UInt8(ascii: "`")) { throw fault("commands are not run here; write the path itself") }
    }
}
