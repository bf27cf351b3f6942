package import BurstScreen
import Glibc

/// A real slurmctld and slurmd with a burst buffer plugin (Tests/Reference/cluster), for one test.
///
/// A keeper process of its own waits for this one: the cluster is stopped and its folder removed when the test is over,
/// fails, or is killed.
package final class ReferenceCluster {
    package enum Plugin: String, CaseIterable, Sendable { case lua, datawarp }

    package let plugin: Plugin
    package let folder: String
    private let keeper: PipedProgram
    private static let tool = Fixtures.top + "/Tests/Reference/cluster"

    /// Why there can be no cluster here, in one line; nil where there can.
    package static var missing: String? {
        if getuid() != 0 { return "not root" }
        let needed = ["slurmctld", "slurmd", "scontrol", "squeue", "munged", "runuser", "unshare"]
        let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        let absent = needed.filter { name in !folders.contains { access("\($0)/\(name)", X_OK) == 0 } }
        return absent.isEmpty ? nil : "not installed: \(absent.joined(separator: " "))"
    }

    package static var isRequired: Bool { getenv("BURST_CI").map { String(cString: $0) } == "1" }

    /// Whether to run; says in one line why not. In CI a missing need is no reason: the tests run and fail.
    package static let isUsable: Bool = {
        guard let missing else { return true }
        if isRequired { return true }
        print("tests with a real Slurm: left out, \(missing) (Debian's slurmctld slurmd slurm-client munge, as root)")
        return false
    }()

    /// - Parameters:
    ///   - options: of `cluster start`.
    ///   - pools: what the hooks report.
    ///   - prepare: gets the cluster's folder before slurmctld starts, and may add options.
    package init(
        _ plugin: Plugin, _ options: String..., pools: String? = nil,
        prepare: (String) throws -> [String] = { _ in [] }
    ) throws {
        if let missing = Self.missing { throw HarnessError("a reference cluster cannot run: \(missing)") }
        self.plugin = plugin
        var template = Array("/tmp/burst-ref-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("mkdtemp: errno \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(folder, 0o755)
        keeper = try PipedProgram(
            [
                "/bin/bash", "-c", #"read -r _; [ ! -e "$1/slurm.conf" ] || "$0" stop "$1"; rm -rf "$1""#, Self.tool,
                folder,
            ], environment: Self.environment, keepsInput: true)
        if let pools {
            mkdir(folder + "/hooks", 0o755)
            put(pools, "hooks/pools")
        }
        try steer("start", ["--plugin", plugin.rawValue] + options + prepare(folder))
    }

    deinit {
        keeper.closeInput()
        _ = keeper.waitForEnd(seconds: 60)
    }

    package static let environment = [
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "LC_ALL": "C.UTF-8", "TZ": "UTC",
    ]

    /// For burstmon and Slurm's commands.
    package var environment: [String: String] {
        Self.environment.merging([
            "SLURM_CONF": folder + "/slurm.conf", "XDG_CONFIG_HOME": folder + "/etc", "TERM": "xterm-256color",
            "SLURM_BITSTR_LEN": "0", "SWIFT_BACKTRACE": "enable=no",
        ]) { $1 }
    }

    /// Where the ordinary users write.
    package func jobFile(_ name: String) -> String { folder + "/jobs/" + name }

    // MARK: Steering

    @discardableResult
    package func steer(_ command: String, _ words: [String]) throws -> String {
        let result = try PipedProgram.run(
            [Self.tool, command, folder] + words, environment: Self.environment, seconds: 60)
        guard result.end == .exited(0) else {
            throw HarnessError("cluster \(command) \(words.joined(separator: " ")): \(result.errorText)\(result.text)")
        }
        return result.text
    }

    package func put(_ text: String, _ name: String) {
        guard let file = fopen(folder + "/" + name, "w") else { return }
        fputs(text, file)
        fclose(file)
    }

    /// A gate that a job's script asked for.
    package func open(_ hook: String, of job: Int) { put("", "hooks/\(hook).\(job).open") }

    /// Submits a job and gives its number.
    /// - Parameters:
    ///   - wishes: what its hooks do: `data_in gate`, `teardown fail 3 no such mount`.
    ///   - run: what it does itself.
    package func submit(
        _ wishes: String..., user: String = "bbalice", pool: String = "nvme", size: String = "20GiB",
        run: String = "sleep 1", options: [String] = []
    ) throws -> Int {
        let directive =
            plugin == .lua
            ? "#BB_LUA pool=\(pool) capacity=\(size)"
            : "#DW jobdw type=scratch access_mode=striped capacity=\(size) pool=\(pool)\n"
                + "#DW stage_in type=directory source=/lus/in destination=$DW_JOB_STRIPED/in\n"
                + "#DW stage_out type=directory source=$DW_JOB_STRIPED/out destination=/lus/out"
        let path = jobFile("\(PseudoTerminal.now).sh")
        let script = (["#!/bin/bash", directive] + wishes.map { "#test \($0)" } + [run, ""]).joined(separator: "\n")
        guard let file = fopen(path, "w") else { throw HarnessError("cannot write \(path)") }
        fputs(script, file)
        fclose(file)
        chmod(path, 0o755)
        let said = try steer("submit", [user, "--", "-o", "/dev/null", "-t", "30"] + options + [path])
        guard let number = said.split(whereSeparator: \.isWhitespace).last.flatMap({ Int($0) }) else {
            throw HarnessError("sbatch says: \(said)")
        }
        return number
    }

    // MARK: Asking

    /// A process of a task of a step, by the beginning of its program's name.
    package func process(_ name: String, ofTask task: Int) -> Int32? {
        guard let stream = opendir("/proc") else { return nil }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let number = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = Int32(number), let environment = Self.words("/proc/\(pid)/environ"),
                environment.contains("SLURM_PROCID=\(task)"),
                environment.contains("SLURM_CONF=\(folder)/slurm.conf"),
                Self.words("/proc/\(pid)/comm")?.first?.hasPrefix(name) == true
            else { continue }
            return pid
        }
        return nil
    }

    /// Parted by NUL and line feed; nil where it cannot be read.
    private static func words(_ path: String) -> [String]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return bytes[..<count].split { $0 == 0 || $0 == 10 }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// What one of Slurm's commands prints.
    package func ask(_ words: [String]) throws -> PipedProgram.Result {
        try PipedProgram.run(["/usr/bin/env"] + words, environment: environment, seconds: 30)
    }

    package func burstmon(_ arguments: String...) throws -> PipedProgram.Result {
        try PipedProgram.run([StubCommands.burstmon] + arguments, environment: environment, seconds: 60)
    }

    /// burstmon on the terminal.
    package func screen(_ arguments: String..., user: String? = nil, size: Size = Size(columns: 100, rows: 30)) throws
        -> PseudoTerminal
    {
        let asUser = user.map { ["/usr/sbin/runuser", "-u", $0, "--"] } ?? []
        return try PseudoTerminal(asUser + [StubCommands.burstmon] + arguments, environment: environment, size: size)
    }

    /// A job's buffer state, state and reason, as squeue says now.
    package func stage(_ job: Int) throws -> (state: String, stage: String, reason: String) {
        let format = "JobID:\u{1f},State:\u{1f},BurstBufferState:\u{1f},Reason:\u{1e}"
        let answer = try ask(["squeue", "-a", "-t", "all", "-h", "-O", format])
        for record in answer.text.split(separator: "\u{1e}") {
            let fields = record.split(separator: "\u{1f}", omittingEmptySubsequences: false)
            if fields.count == 4, Int(fields[0].filter(\.isNumber)) == job {
                return ("\(fields[1])", "\(fields[2])", "\(fields[3])")
            }
        }
        return ("", "", "")
    }

    /// Waits until squeue shows a job in a stage.
    package func reaches(_ job: Int, _ stage: String, seconds: Double = 150) throws -> Bool {
        try Wait.until(seconds: seconds, every: 0.3) { try self.stage(job).stage == stage }
    }
}
