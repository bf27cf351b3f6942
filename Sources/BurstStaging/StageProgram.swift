import CSys
import Glibc

/// `burst-stage [--uid U --gid G --groups 1,2,3]`: becomes the user, reads an order, carries it out.
package enum StageProgram {
    private struct Arguments {
        var uid: UInt32?
        var gid: UInt32?
        var groups: [gid_t] = []
    }

    private static let usage = "burst-stage [--uid UID --gid GID [--groups GID,GID,...]] < order"
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
            let (order, pending) = try readOrder()
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
            default: return nil
            }
        }
        return arguments
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

    private static func readOrder() throws(OrderFault) -> (StageOrder, [UInt8]) {
        var parser = StageOrderParser()
        var buffer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16384)
        while true {
            while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                if let order = try parser.take(line) { return (order, buffer) }
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
