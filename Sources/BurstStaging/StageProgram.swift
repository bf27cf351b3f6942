import CSys
import Glibc

/// `burst-stage [--uid U --gid G --groups 1,2,3]`: becomes the user, reads an order, carries it out. With `--nodes N`,
/// on so many hosts; `--part K` is what each of them gets. With `--copier dcp` or `dsync`, that copies folders.
package enum StageProgram {
    private struct Arguments {
        var uid: UInt32?
        var gid: UInt32?
        var groups: [gid_t] = []
        var hosts: ScaleOut.Hosts?
        var part: Int?
        var copier: ToolCopy.Command?
        var slurmConf: String?
        var nice: Int32 = 0
        var ioClass: Int32 = 0
    }

    private static let usage = """
        burst-stage [--uid UID --gid GID [--groups GID,GID,...]] [--nice N] [--io-class best-effort|idle] \
        [--nodes N [--nodes-from BYTES] [--nodes-refused alone|fail] [--nodes-wait SECONDS] [--srun PATH] \
        [--srun-options WORDS] [--srun-option WORD]... [--slurm-conf FILE]] \
        [--copier dcp|dsync [--copier-path PATH] [--copier-option WORD]... [--launcher-word WORD]...] < order
        """
    /// Where other programs are looked for if nobody says.
    private static let path = "/usr/local/bin:/usr/bin:/bin"
    private static let groupsMax = 65536

    /// The program's exit status.
    package static func main() -> Int32 {
        // Before anything could start a thread.
        let words = Array(CommandLine.arguments.dropFirst())
        guard let arguments = parse(words) else { return refuse("usage: \(usage)") }
        if let text = become(arguments) { return refuse(text) }
        setenv("PATH", path, 0)
        if let file = arguments.slurmConf { setenv("SLURM_CONF", file, 1) }
        // Whoever asked for it would rather have a copy than none.
        _ = bb_be_nice(arguments.nice, arguments.ioClass)
        let signals = bb_stop_signals()
        guard signals >= 0 else { return refuse("signals: \(SystemFault("signalfd").shown)") }
        do throws(OrderFault) {
            let (order, text, pending) = try readOrder()
            if let hosts = arguments.hosts {
                let scaleOut = ScaleOut(order: order, text: text, hosts: hosts)
                return scaleOut.run(pending: pending, signals: signals, output: 1).rawValue
            }
            if let copier = arguments.copier {
                let copy = ToolCopy(order: order, command: copier)
                return copy.run(pending: pending, signals: signals, output: 1).rawValue
            }
            if let part = arguments.part {
                guard let path = order.parts else { throw OrderFault(line: 0, text: "parts is missing") }
                var own = order.part(part, in: PartFolder(path: path))
                own.confine()
                return StageSession(own).run(input: 0, pending: pending, signals: signals, output: 1).rawValue
            }
            var own = order
            own.confine()
            let exit = StageSession(own).run(input: 0, pending: pending, signals: signals, output: 1)
            own.forgetParts(after: exit)
            return exit.rawValue
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
            let (key, value) = (words[index], words[index + 1])
            guard
                takeOwn(key, value, &arguments) || takeHosts(key, value, &arguments.hosts)
                    || takeCopier(key, value, &arguments.copier)
            else { return nil }
        }
        let ways = [arguments.hosts != nil, arguments.part != nil, arguments.copier != nil]
        return ways.count { $0 } > 1 ? nil : arguments
    }

    private static func takeOwn(_ key: String, _ value: String, _ arguments: inout Arguments) -> Bool {
        switch key {
        case "--uid":
            guard let uid = UInt32(value), uid != .max else { return false }
            arguments.uid = uid
        case "--gid":
            guard let gid = UInt32(value), gid != .max else { return false }
            arguments.gid = gid
        case "--groups":
            let groups = value.split(separator: ",").map { gid_t($0) }
            guard groups.count <= groupsMax, groups.allSatisfy({ $0 != nil && $0 != .max }) else { return false }
            arguments.groups = groups.compactMap { $0 }
        case "--part":
            // Each task of a step has its number.
            let number = value == "slurm" ? getenv("SLURM_PROCID").map { String(cString: $0) } : value
            guard let part = number.flatMap({ Int($0) }), (0..<PartFolder.partsMax).contains(part) else {
                return false
            }
            arguments.part = part
        case "--slurm-conf": arguments.slurmConf = value
        case "--nice":
            guard let nice = Int32(value), (0...19).contains(nice) else { return false }
            arguments.nice = nice
        case "--io-class":
            guard let number = ["best-effort": Int32(2), "idle": 3][value] else { return false }
            arguments.ioClass = number
        default: return false
        }
        return true
    }

    /// `--nodes` comes before the others.
    private static func takeHosts(_ key: String, _ value: String, _ hosts: inout ScaleOut.Hosts?) -> Bool {
        if key == "--nodes" {
            guard let count = Int(value), (1...PartFolder.partsMax).contains(count) else { return false }
            hosts = ScaleOut.Hosts(count: count)
            return true
        }
        guard hosts != nil else { return false }
        switch key {
        case "--nodes-from":
            guard let bytes = Int64(value), bytes >= 0 else { return false }
            hosts?.fromBytes = bytes
        case "--nodes-refused":
            guard value == "alone" || value == "fail" else { return false }
            hosts?.goesOnAlone = value == "alone"
        case "--nodes-wait":
            guard let seconds = Int(value), seconds > 0 else { return false }
            hosts?.waitSeconds = seconds
        case "--srun": hosts?.srun = Array(value.utf8)
        case "--srun-options": hosts?.options += value.split(separator: " ").map { Array($0.utf8) }
        case "--srun-option": hosts?.options.append(Array(value.utf8))
        default: return false
        }
        return true
    }

    /// `--copier` comes before the others.
    private static func takeCopier(_ key: String, _ value: String, _ copier: inout ToolCopy.Command?) -> Bool {
        if key == "--copier" {
            guard let tool = ToolCopy.Tool(rawValue: value) else { return false }
            copier = ToolCopy.Command(tool: tool, program: Array(value.utf8))
            return true
        }
        guard copier != nil else { return false }
        switch key {
        case "--copier-path": copier?.program = Array(value.utf8)
        case "--copier-option": copier?.options.append(Array(value.utf8))
        case "--launcher-word": copier?.launcher.append(Array(value.utf8))
        default: return false
        }
        return true
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
