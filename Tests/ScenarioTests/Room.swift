import BurstTestSupport
import Glibc

/// A room of its own for one scenario: namespaces in which the host is node1, alice and bob are the users 1001 and
/// 1002, all lies below /srv/ref, and every port is free. All its processes end with it, whatever happens to the test.
class Room {
    static let home = "/srv/ref"
    static let users = ["root": 0, "alice": 1001, "bob": 1002]

    /// Whether the first start has put configuration and script in their places.
    var isFurnished = false
    private let keeper: PipedProgram
    /// The first process of the room.
    private let pid: Int32

    /// Why there can be no room here, in one line; nil where there can.
    static var missing: String? {
        if getuid() != 0 { return "not root" }
        let needed = ["unshare", "nsenter", "setpriv", "ip", "hostname", "mount"]
        let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        let absent = needed.filter { name in !folders.contains { access("\($0)/\(name)", X_OK) == 0 } }
        return absent.isEmpty ? nil : "not installed: \(absent.joined(separator: " "))"
    }

    // The first process waits for the end of its input, and reaps what others leave behind. Where no address is but
    // 127.0.0.1, getaddrinfo finds nothing to bind to.
    private static let begin = #"""
        set -e
        hostname node1
        ip link set lo up
        ip address add 192.0.2.1/32 dev lo
        mount -t tmpfs -o mode=755 tmpfs /srv
        cd /srv
        mkdir -p ref ref/ctl ref/etc ref/state ref/spool ref/run ref/log ref/bin ref/data ref/home
        mkdir ref/home/alice ref/home/bob
        chown 1001:1001 ref/home/alice
        chown 1002:1002 ref/home/bob
        touch ref/ctl/calls
        chmod 1777 ref/ctl ref/data
        chmod 666 ref/ctl/calls
        for file in passwd group; do
            awk -F: '$3 != 1001 && $3 != 1002 && $1 != "alice" && $1 != "bob"' /etc/$file >ref/etc/$file
        done
        printf '%s:x:%s:%s::/srv/ref/home/%s:/bin/bash\n' alice 1001 1001 alice bob 1002 1002 bob >>ref/etc/passwd
        printf '%s:x:%s:\n' alice 1001 bob 1002 >>ref/etc/group
        echo '127.0.0.1 node1 localhost' >ref/etc/hosts
        for file in passwd group hosts; do mount --bind ref/etc/$file /etc/$file; done
        echo ready
        while read -r _; do :; done
        """#

    init() throws {
        if let missing = Self.missing { throw HarnessError("a scenario cannot be played: \(missing)") }
        keeper = try PipedProgram(
            [
                "/usr/bin/unshare", "-m", "-u", "-n", "-p", "-f", "--kill-child", "--mount-proc", "/bin/bash", "-c",
                Self.begin,
            ], environment: Self.environment, keepsInput: true)
        guard keeper.wait(until: { $0.lines.contains("ready") || $0.end != nil }), keeper.end == nil
        else { throw HarnessError("no namespaces: \(String(decoding: keeper.errors, as: UTF8.self))") }
        let children = String(
            decoding: Fixtures.bytes(of: "/proc/\(keeper.pid)/task/\(keeper.pid)/children"), as: UTF8.self)
        guard let first = children.split(separator: " ").first.flatMap({ Int32($0) }) else {
            throw HarnessError("unshare has no child")
        }
        pid = first
    }

    static let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC"]

    /// For the commands of the users.
    var environment: [String: String] { Self.environment }

    /// Runs a shell command in the room.
    func run(_ user: String, _ command: String, seconds: Double = 60) throws -> PipedProgram.Result {
        let number = Self.users[user] ?? 0
        let folder = user == "root" ? Self.home : "\(Self.home)/home/\(user)"
        let become =
            number == 0
            ? [] : ["/usr/bin/setpriv", "--reuid", "\(number)", "--regid", "\(number)", "--clear-groups", "--"]
        var variables = environment
        variables["HOME"] = folder
        variables["USER"] = user
        let place = ["/usr/bin/nsenter", "-t", "\(pid)", "-m", "-u", "-n", "-p", "--"]
        return try PipedProgram.run(
            place + become + ["/bin/bash", "-c", "cd \(folder) || exit 99\n\(command)"], environment: variables,
            seconds: seconds)
    }

    /// As root, and it must succeed.
    @discardableResult
    func must(_ command: String, seconds: Double = 60) throws -> String {
        let result = try run("root", command, seconds: seconds)
        guard result.end == .exited(0) else {
            throw HarnessError("\(command): \(result.end.map { "\($0)" } ?? "no end"): \(result.errorText)")
        }
        return result.text
    }

    // MARK: Files

    /// A path of the room as it is seen from outside.
    private func outside(_ path: String) -> String { "/proc/\(pid)/root\(path)" }

    func write(_ content: [UInt8], to path: String, owner: String = "root", mode: String = "0644") throws {
        let outside = outside(path)
        try WholeFile.write(
            content, to: outside, mode: mode_t(mode, radix: 8) ?? 0o644, owner: UInt32(Self.users[owner] ?? 0))
    }

    func remove(_ path: String) { unlink(outside(path)) }

    func read(_ path: String) -> String {
        access(outside(path), R_OK) == 0 ? String(decoding: Fixtures.bytes(of: outside(path)), as: UTF8.self) : ""
    }

    // MARK: Processes

    /// The number, in the room, of a process that wrote it into a file; nil where it is gone.
    func process(_ file: String, named name: String) throws -> String? {
        let text = try must(
            #"p=$(cat \#(file) 2>/dev/null) && [ "$(cat /proc/$p/comm 2>/dev/null)" = \#(name) ] && "#
                + #"! grep -q '^State:.Z' /proc/$p/status && echo $p || true"#)
        let number = text.filter(\.isNumber)
        return number.isEmpty ? nil : number
    }

    func signal(_ signal: String, _ file: String, named name: String) throws {
        if let number = try process(file, named: name) { try must("kill -\(signal) \(number)") }
    }

    /// Ends it and waits until it is gone.
    func end(_ signal: String, _ file: String, named name: String) throws {
        try self.signal(signal, file, named: name)
        let isGone = try Wait.until(every: 0.05) { try process(file, named: name) == nil }
        if !isGone { throw HarnessError("\(name) does not end on \(signal)") }
    }
}
