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
