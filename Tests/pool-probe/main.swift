// A small program on real pools, as a user or to be killed: `pool-probe MODE ...`.
import BurstModel
import BurstPools
import Glibc
import Synchronization

func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func fail(_ text: String) -> Never {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
    exit(1)
}

func drop(to uid: UInt32) {
    guard geteuid() == 0, uid != 0 else { return }
    guard setgroups(0, nil) == 0, setgid(uid) == 0, setuid(uid) == 0 else { fail("cannot become \(uid)") }
}

/// Writes until so many bytes are written or the system refuses: says both.
func fill(_ path: String, _ bytes: Int) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else {
        say("0 \(errno)")
        return
    }
    // By chance, so that nothing packs it.
    var random = SystemRandomNumberGenerator()
    let block = (0..<(256 << 10)).map { _ in UInt8.random(in: 0...255, using: &random) }
    var done = 0
    var number: Int32 = 0
    while done < bytes, number == 0 {
        let count = write(file, block, min(block.count, bytes - done))
        if count > 0 { done += count } else { number = errno }
        // Where blocks are given only when data reach the disk, it refuses there.
        if done % (8 << 20) == 0 || done == bytes, number == 0, fsync(file) != 0 { number = errno }
    }
    close(file)
    say("\(done) \(number)")
}

func files(_ folder: String, _ count: Int) {
    for index in 0..<count {
        let file = open("\(folder)/f\(index)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            say("\(index) \(errno)")
            return
        }
        close(file)
    }
    say("\(count) 0")
}

/// Stops being at the step of that number.
final class Fuse: Sendable {
    let step: Int
    private let count = Atomic<Int>(0)

    init(_ step: Int) { self.step = step }

    var steps: Int { count.load(ordering: .relaxed) }

    func burn(_ name: String) {
        let now = count.add(1, ordering: .relaxed).newValue
        guard now == step else { return }
        say("killed before: \(name)")
        kill(getpid(), SIGKILL)
    }
}

func lives(_ words: [String]) {
    guard words.count == 6, let driver = PoolDriver(rawValue: words[2]), let step = Int(words[5]) else {
        fail("usage: pool-probe lives PATH DRIVER IMAGE WHAT STEP")
    }
    let image = PoolSettings.Image(rawValue: words[3]) ?? .ext4
    let settings = PoolSettings(
        name: "probe", path: words[1], granularity: 16 << 20, quantity: .all, driver: driver, image: image)
    var own = settings
    if driver == .tmpfs { own.quantity = .granules(64) }
    let fuse = Fuse(step)
    let request = PoolRequest(id: 7, generation: 1, uid: 54_321, gid: 54_321, bytes: 20 << 20)
    let now = Timestamp(milliseconds: 1_000_000)
    do {
        let pool = try PoolFolder.open(own) { fuse.burn($0) }
        switch words[4] {
        case "allocate": _ = try pool.allocate(request, now: now)
        case "expose": _ = try pool.expose(request.name, token: "91")
        case "conceal": try pool.conceal(token: "91")
        case "release": try pool.release(request.name, now: now)
        case "remove":
            let left = pool.removeQuarantined()
            if !left.isEmpty { fail("left: \(left)") }
        default: fail("what is \(words[4])?")
        }
        say("done \(fuse.steps)")
    } catch {
        fail("\(error)")
    }
}

/// A whole life without root: accounting, and symbolic links in place of mounts.
func alone(_ path: String) {
    let settings = PoolSettings(
        name: "alone", path: path, granularity: 1 << 20, quantity: .granules(1000), driver: nil)
    let now = Timestamp(milliseconds: 1_000_000)
    do {
        let created = try PoolFolder.create(settings, now: now, onRoot: true)
        say("driver \(created.driver.rawValue)")
        let pool = try PoolFolder.open(settings)
        let request = PoolRequest(id: 1, generation: 1, uid: geteuid(), gid: getegid(), bytes: 5 << 20)
        let folder = try pool.allocate(request, now: now)
        let shown = try pool.expose(request.name, token: "91")
        _ = try pool.expose(request.name, token: "91")
        var status = stat()
        lstat(String(shown.dropLast()), &status)
        say(status.st_mode & S_IFMT == S_IFLNK ? "link" : "no link")
        fill(shown + "file", 3 << 20)
        say(access(folder.striped + "/file", F_OK) == 0 ? "same" : "elsewhere")
        // Closed to its own owner, who is the one to remove it.
        mkdir(shown + "closed", 0o700)
        fill(shown + "closed/file", 1 << 20)
        mkdir(shown + "closed/inner", 0)
        chmod(shown + "closed", 0)
        let usage = try pool.usage(request.name)
        say("soft \(usage.isSoft) \(usage.bytes >= 3 << 20)")
        try pool.conceal(token: "91")
        try pool.conceal(token: "91")
        try pool.release(request.name, now: now)
        for (entry, reason) in pool.removeQuarantined() { say("left \(entry): \(reason)") }
        say("free \(pool.account.free)")
        let leaks = Reconciliation.leaks(known: [], found: pool.inventory(), now: now, graceSeconds: 0)
        say("leaks \(leaks.count)")
    } catch {
        fail("\(error)")
    }
}

/// Swaps folders with links that lead out, as fast as it can, until there is nothing left to swap.
func swap(_ folder: String, _ outside: String) {
    guard chdir(folder) == 0 else { fail("chdir: errno \(errno)") }
    var names: [(folder: String, link: String)] = []
    for index in 0..<20 {
        let name = (folder: "d\(index)", link: "l\(index)")
        mkdir(name.folder, 0o700)
        for file in 0..<50 { close(open("\(name.folder)/f\(file)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)) }
        symlink(outside, name.link)
        names.append(name)
    }
    say("ready")
    var swaps = 0
    var failures = 0
    while failures < 1000 {
        for (index, name) in names.enumerated() {
            let isDone =
                rename(name.folder, "spare\(index)") == 0 && rename(name.link, name.folder) == 0
                && rename("spare\(index)", name.link) == 0
            if isDone { swaps += 1 }
            failures = isDone ? 0 : failures + 1
            // Back, or what is left of it.
            rename(name.folder, "spare\(index)")
            rename(name.link, name.folder)
            rename("spare\(index)", name.link)
        }
    }
    say("swaps \(swaps)")
}

let words = Array(CommandLine.arguments.dropFirst())
switch words.first {
case "fill" where words.count == 4:
    drop(to: UInt32(words[2]) ?? 0)
    fill(words[1], Int(words[3]) ?? 0)
case "files" where words.count == 4:
    drop(to: UInt32(words[2]) ?? 0)
    files(words[1], Int(words[3]) ?? 0)
case "look" where words.count == 3:
    drop(to: UInt32(words[2]) ?? 0)
    let folder = open(words[1], O_RDONLY | O_CLOEXEC)
    say(folder >= 0 ? "0" : "\(errno)")
case "hold" where words.count == 3:
    guard chdir(words[1]) == 0 else { fail("chdir: errno \(errno)") }
    let file = open("held", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    say(file >= 0 ? "ready" : "errno \(errno)")
    var byte: UInt8 = 0
    while read(0, &byte, 1) > 0 {}
case "swap" where words.count == 4:
    drop(to: UInt32(words[2]) ?? 0)
    swap(words[1], words[3])
case "alone" where words.count == 3:
    drop(to: UInt32(words[2]) ?? 0)
    alone(words[1])
case "lives": lives(words)
default: fail("usage: pool-probe fill|files|look|hold|lives ...")
}
