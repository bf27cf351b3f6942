import CSys
import Glibc

/// `burst-stage [--uid U --gid G --groups 1,2,3]`: becomes the user, reads an order, carries it out. With `--nodes N`,
/// on so many hosts; `--part K` is what each of them gets.
package enum StageProgram {
    private struct Arguments {
        var uid: UInt32?
        var gid: UInt32?
        var groups: [gid_t] = []
        var nodes: Int?
        var part: Int?
        var srunOptions: [String] = []
    }

    private static let usage =
        "burst-stage [--uid UID --gid GID [--groups GID,GID,...]] [--nodes N [--srun-options WORDS]] < order"
    private static let groupsMax = 65536

    /// The program's exit status.
    package static func main() -> Int32 {
        // Before anything could start a thread.
        let words = Array(CommandLine.arguments.dropFirst())
        guard let arguments = parse(words) else { return refuse("usage: \(usage)") }
        if let text = become(arguments) { return refuse(text) }
        let signals = bb_stop_signals()
        guard signals >= 0 else { return refuse("signals: \(SystemFault("signalfd").shown)") }
        do throws(OrderFault) {
            let (order, text, pending) = try readOrder()
            if let nodes = arguments.nodes {
                let scaleOut = ScaleOut(
                    order: order, text: text, nodes: nodes, options: arguments.srunOptions.map { Array($0.utf8) })
                return scaleOut.run(pending: pending, signals: signals, output: 1).rawValue
            }
            if let part = arguments.part {
                guard let path = order.parts else { throw OrderFault(line: 0, text: "parts is missing") }
                let own = order.part(part, in: PartFolder(path: path))
                return StageSession(own).run(input: 0, pending: pending, signals: signals, output: 1).rawValue
            }
            return StageSession(order).run(input: 0, pending: pending, signals: signals, output: 1).rawValue
        } catch {
            return refuse(error.description)
        }
    }

    private static func refuse(_ text: String) -> Int32 {
        let line = Array("burst-stage: \(text)\n".utf8)
        _ = write(2, line, line.count)
        return StageExit.refused.rawValue
    }

    private static func parse(_ words: [String]) -> Arguments? {
        guard words.count % 2 == 0 else { return nil }
        var arguments = Arguments()
        for index in stride(from: 0, to: words.count, by: 2) {
            let value = words[index + 1]
            switch words[index] {
            case "--uid":
                guard let uid = UInt32(value), uid != .max else { return nil }
                arguments.uid = uid
            case "--gid":
                guard let gid = UInt32(value), gid != .max else { return nil }
                arguments.gid = gid
            case "--groups":
                let groups = value.split(separator: ",").map { gid_t($0) }
                guard groups.count <= groupsMax, groups.allSatisfy({ $0 != nil && $0 != .max }) else { return nil }
                arguments.groups = groups.compactMap { $0 }
            case "--nodes":
                guard let nodes = Int(value), (1...PartFolder.partsMax).contains(nodes) else { return nil }
                arguments.nodes = nodes
            case "--srun-options": arguments.srunOptions = value.split(separator: " ").map(String.init)
            case "--part":
                // Each task of a step has its number.
                let number = value == "slurm" ? getenv("SLURM_PROCID").map { String(cString: $0) } : value
                guard let part = number.flatMap({ Int($0) }), (0..<PartFolder.partsMax).contains(part) else {
                    return nil
                }
                arguments.part = part
            default: return nil
            }
        }
        return arguments.nodes != nil && arguments.part != nil ? nil : arguments
    }

    /// Gives up all authority but the user's. Nil, or why it must not go on.
    private static func become(_ arguments: Arguments) -> String? {
        var changes: Int32 = 0
        var uid = getuid()
        var gid = getgid()
        if getuid() == 0 || geteuid() == 0 {
            guard let toUid = arguments.uid, let toGid = arguments.gid else {
                return "a copy never runs as root: say --uid and --gid"
            }
            guard toUid != 0 else { return "a copy never runs as root: --uid 0" }
            changes = 1
            uid = toUid
            gid = toGid
        } else if let toUid = arguments.uid, toUid != uid {
            return "only root can become user \(toUid)"
        }
        let groups = arguments.groups.isEmpty ? [gid] : arguments.groups
        switch bb_become(changes, uid, gid, groups, groups.count) {
        case 0: return nil
        case -2: return "root could be had again; this program must not be set-user-ID or have capabilities left"
        default: return "cannot become user \(uid): \(SystemFault("setresuid").shown)"
        }
    }

    /// The order, its text, and what was read after it.
    private static func readOrder() throws(OrderFault) -> (StageOrder, [UInt8], [UInt8]) {
        var parser = StageOrderParser()
        var text: [UInt8] = []
        var buffer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16384)
        while true {
            while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                text += line + [UInt8(ascii: "\n")]
                if let order = try parser.take(line) { return (order, text, buffer) }
            }
            guard buffer.count <= StageOrder.lineBytesMax else {
                throw OrderFault(line: 0, text: "a line has more than \(StageOrder.lineBytesMax) bytes")
            }
            let count = read(0, &block, block.count)
            guard count > 0 else { throw OrderFault(line: 0, text: "it ends before the line `end`") }
            buffer += block[..<count]
        }
    }
}
