import Glibc

/// The per-file report, a line for each file that was not staged as it is, in a file of the user's own:
///
///     KIND <tab> what was wrong <tab> SOURCE <tab> DESTINATION
///
/// KIND is `failed`, `skipped` or `degraded`; names are shown as `FileName.shown` does.
final class Report: Sendable {
    enum Kind: String {
        case failed, skipped, degraded
    }

    private struct State {
        var lines: [UInt8] = []
        var count = 0
    }

    private let descriptor: Int32
    private let state = Guarded(State())
    private static let linesMax = 1_000_000
    private static let bufferBytesMax = 32 << 10

    /// - Parameter descriptor: -1: nobody wants it.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func note(_ kind: Kind, _ text: String, source: [UInt8], destination: [UInt8]) {
        guard descriptor >= 0 else { return }
        state.with { state in
            guard state.count < Self.linesMax else { return }
            state.count += 1
            let line = "\(kind.rawValue)\t\(text)\t\(FileName.shown(source))\t\(FileName.shown(destination))\n"
            state.lines += Array(line.utf8)
            if state.lines.count > Self.bufferBytesMax { write(&state) }
        }
    }

    /// What parts copied but not whole; what they failed at or skipped is met again by the run that finishes them.
    func take(from folder: PartFolder) {
        guard descriptor >= 0, let cut = try? folder.cut() else { return }
        let wanted = Array("\(Kind.degraded.rawValue)\t".utf8)
        var block = [UInt8](repeating: 0, count: Self.bufferBytesMax)
        for part in 0..<cut.partsEver {
            let fd = open(chars(folder.report(part)), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
            guard fd >= 0 else { continue }
            defer { close(fd) }
            var line: [UInt8] = []
            while case let count = read(fd, &block, block.count), count > 0 {
                for byte in block[..<count] {
                    line.append(byte)
                    guard byte == UInt8(ascii: "\n") else { continue }
                    if line.starts(with: wanted) { take(line) }
                    line.removeAll(keepingCapacity: true)
                }
            }
        }
    }

    private func take(_ line: [UInt8]) {
        state.with { state in
            guard state.count < Self.linesMax else { return }
            state.count += 1
            state.lines += line
            if state.lines.count > Self.bufferBytesMax { write(&state) }
        }
    }

    func flush() { if descriptor >= 0 { state.with { write(&$0) } } }

    private func write(_ state: inout State) {
        var written = 0
        while written < state.lines.count {
            let count = state.lines.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            // The result counts the failures in any case.
            if count <= 0 { break }
            written += count
        }
        state.lines.removeAll(keepingCapacity: true)
    }
}
