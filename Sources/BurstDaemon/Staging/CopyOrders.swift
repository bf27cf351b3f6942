import BurstDataWarp
import BurstPools
import BurstStager

/// What a session's phase copies, as runs of `burst-stage`: one for each buffer that takes part, since a worker begins
/// at one folder.
struct CopyRuns {
    struct Run {
        var buffer: StageSide.Buffer
        /// `transfer` lines of the order.
        var transfers: [String]
    }

    var runs: [Run] = []

    /// - Throws: why the plan cannot be carried out, in one line.
    init(plan text: String, _ direction: StageDirection) throws(ErrorLine) {
        let plan: StagePlan
        do throws(StagePlanTextFault) {
            plan = try StagePlan(text: text.utf8)
        } catch {
            throw ErrorLine("the plan that was kept cannot be read: \(error.description)")
        }
        for transfer in direction == .stageIn ? plan.stageIn : plan.stageOut {
            let (buffer, line) = try Self.line(transfer, plan.place(transfer.line))
            if let index = runs.firstIndex(where: { $0.buffer == buffer }) {
                runs[index].transfers.append(line)
            } else {
                runs.append(Run(buffer: buffer, transfers: [line]))
            }
        }
    }

    private static func line(
        _ transfer: StagePlan.Transfer, _ place: String
    ) throws(ErrorLine) -> (StageSide.Buffer, String) {
        let kind = transfer.kind.rawValue
        func words(_ source: StageSide, _ destination: StageSide) -> String {
            "transfer \(kind) \(word(source)) \(word(destination))"
        }
        if transfer.kind == .list {
            // The source names the list; what it names is below the buffer's folder, or its top.
            let folder = transfer.destination ?? .buffer(.job, .root)
            guard case .buffer(let buffer, _) = folder else {
                throw ErrorLine("\(place): the destination of a list is a folder of a buffer")
            }
            return (buffer, words(transfer.source, folder))
        }
        guard let destination = transfer.destination else {
            throw ErrorLine("\(place): has no destination")
        }
        switch (transfer.source, destination) {
        case (.buffer(let buffer, _), .parallel), (.parallel, .buffer(let buffer, _)):
            return (buffer, words(transfer.source, destination))
        case (.buffer, .buffer), (.parallel, .parallel):
            throw ErrorLine("\(place): one side is a buffer, the other one a path")
        }
    }

    private static func word(_ side: StageSide) -> String {
        switch side {
        case .buffer(_, let path): "buffer:" + escaped(path.bytes)
        case .parallel(let path): "pfs:" + escaped(path)
        }
    }

    /// As `StageOrder` reads it: `%` and two digits for what would end a word or a line.
    static func escaped(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "%") {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension BufferPath {
    /// The top of a buffer.
    static let root: BufferPath = {
        do throws(ErrorLine) {
            return try BufferPath([])
        } catch {
            preconditionFailure("the top of a buffer is a path: \(error)")
        }
    }()
}
