package import BurstModel
import Glibc

/// Why a recording cannot be read: one line, with the file and the line in it.
package struct RecordingFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var path: String
    /// From 1; 0 where it concerns the whole file.
    package var line: Int
    package var message: String

    package init(path: String, line: Int, message: String) {
        self.path = path
        self.line = line
        self.message = message
    }

    package var description: String { line > 0 ? "\(path): line \(line): \(message)" : "\(path): \(message)" }
}

/// Reads a recording (format 1), also one that is still being written.
///
/// The file is gone through once for times and places; texts are read when they are asked for. A line that is cut at
/// the
/// end of the file is one that is being written. A damaged line is left out and named in `faults`, with every text
/// behind
/// it that is only told as a change of a lost one.
package struct RecordingReader: Sendable {
    /// Faults kept.
    package static let faultsMax = 20
    /// A line longer than this is damage.
    package static let lineBytesMax = 1 << 30

    /// A command that was run, without its text.
    package struct Entry: Hashable, Sendable {
        package var startedAt: Timestamp
        package var durationMilliseconds: Int64
        package var arguments: [String]
        package var call: Call?
        fileprivate var offset: Int64
        fileprivate var count: Int
        fileprivate var line: Int
        /// The entry that a delta is a change of.
        fileprivate var base: Int?

        package var endedAt: Timestamp { startedAt.adding(milliseconds: durationMilliseconds) }
    }

    package let path: String
    package private(set) var tool = ""
    package private(set) var host = ""
    package private(set) var startedAt = Timestamp(milliseconds: 0)
    package private(set) var utcOffsetSeconds = 0
    package private(set) var entries: [Entry] = []
    package private(set) var faults: [RecordingFault] = []
    /// Bytes of whole lines read so far.
    package private(set) var bytesRead: Int64 = 0

    private let file: OpenFile
    private var lines = 0
    private var newest: [[String]: Int] = [:]
    private var cache = Cache()

    /// The last texts that were put together, by entry: the next one is most often a change of one of them.
    private struct Cache: Sendable {
        private var texts: [(entry: Int, text: [UInt8])] = []

        func text(_ entry: Int) -> [UInt8]? { texts.first { $0.entry == entry }?.text }

        mutating func keep(_ entry: Int, _ text: [UInt8]) {
            texts.removeAll { $0.entry == entry }
            texts.append((entry, text))
            if texts.count > 12 { texts.removeFirst() }
        }
    }

    package init(path: String) throws(RecordingFault) {
        self.path = path
        file = try OpenFile(path: path)
        try readMore()
        if lines == 0 {
            throw RecordingFault(
                path: path, line: 1, message: "the first line is missing or cut; it says what the file is")
        }
    }

    /// The file's number, by which a follower sees that another file stands in its place.
    package var inode: UInt64 { file.inode }

    /// Reads lines that were written since.
    /// - Returns: the entries that came.
    @discardableResult
    package mutating func readMore() throws(RecordingFault) -> Range<Int> {
        let first = entries.count
        var pending: [UInt8] = []
        // Behind the pending bytes.
        var place = bytesRead
        while true {
            let piece = try file.read(at: place, count: 1 << 20)
            if piece.isEmpty { break }
            place += Int64(piece.count)
            var start = 0
            while let end = piece[start...].firstIndex(of: 10) {
                pending += piece[start..<end]
                try take(pending)
                bytesRead += Int64(pending.count) + 1
                pending.removeAll(keepingCapacity: true)
                start = end + 1
            }
            pending += piece[start...]
            if pending.count > Self.lineBytesMax {
                throw RecordingFault(path: path, line: lines + 1, message: "the line is longer than 1 GiB")
            }
        }
        return first..<entries.count
    }

    private mutating func take(_ line: [UInt8]) throws(RecordingFault) {
        lines += 1
        do throws(RecordLine.Damage) {
            if lines == 1 {
                let header = try RecordLine.header(line)
                tool = header.tool
                host = header.host
                startedAt = header.startedAt
                utcOffsetSeconds = header.utcOffsetSeconds
                return
            }
            let entry = try RecordLine.entry(line)
            var base: Int?
            if case .delta = entry.output {
                base = newest[entry.arguments]
                if base == nil { throw RecordLine.Damage("the text that this one is a change of is missing") }
            }
            newest[entry.arguments] = entries.count
            entries.append(
                Entry(
                    startedAt: entry.at, durationMilliseconds: entry.durationMilliseconds, arguments: entry.arguments,
                    call: Call(arguments: entry.arguments), offset: bytesRead, count: line.count, line: lines,
                    base: base))
        } catch {
            let fault = RecordingFault(path: path, line: lines, message: error.message)
            if lines == 1 { throw fault }
            if faults.count < Self.faultsMax { faults.append(fault) }
            // Whose text it was is not known, so no change may build on what stands before it.
            newest = [:]
        }
    }

    /// An entry's text and end.
    package mutating func run(_ index: Int) throws(RecordingFault) -> CommandRun {
        let line = try entry(index)
        let output = try output(index, line)
        return CommandRun(
            CommandResult(end: line.end, output: output, errors: line.errors), startedAt: line.at,
            durationMilliseconds: line.durationMilliseconds)
    }

    private func entry(_ index: Int) throws(RecordingFault) -> RecordLine.Entry {
        let place = entries[index]
        let line = try file.read(at: place.offset, count: place.count)
        do throws(RecordLine.Damage) {
            return try RecordLine.entry(line)
        } catch {
            throw RecordingFault(path: path, line: place.line, message: error.message)
        }
    }

    private mutating func output(_ index: Int, _ line: RecordLine.Entry) throws(RecordingFault) -> [UInt8] {
        if let text = cache.text(index) { return text }
        // Back to a text that is whole or known, then forward.
        var chain: [(index: Int, steps: [LineDelta.Step])] = []
        var (place, current) = (index, line)
        var text: [UInt8]
        while true {
            if let known = cache.text(place) {
                text = known
                break
            }
            switch current.output {
            case .whole(let bytes): text = bytes
            case .delta(let steps):
                chain.append((place, steps))
                place = entries[place].base!
                current = try entry(place)
                continue
            }
            break
        }
        for step in chain.reversed() {
            do {
                text = try LineDelta.apply(step.steps, to: text)
            } catch {
                throw RecordingFault(
                    path: path, line: entries[step.index].line,
                    message: "the change does not fit the text that it is a change of")
            }
        }
        cache.keep(index, text)
        return text
    }
}

/// A file open for reading, closed with the last who holds it.
private final class OpenFile: Sendable {
    private let descriptor: Int32
    private let path: String
    let inode: UInt64

    init(path: String) throws(RecordingFault) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RecordingFault(path: path, line: 0, message: "cannot be read: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw RecordingFault(path: path, line: 0, message: "is no regular file")
        }
        inode = UInt64(status.st_ino)
    }

    deinit { close(descriptor) }

    /// As much as there is, up to `count`.
    func read(at offset: Int64, count: Int) throws(RecordingFault) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset) + filled)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                filled += got
            }
        }
        if failure != 0 {
            throw RecordingFault(path: path, line: 0, message: "cannot be read: \(String(cString: strerror(failure)))")
        }
        return bytes
    }
}
