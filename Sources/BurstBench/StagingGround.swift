import BurstTestSupport
import CSys
import Glibc

/// A folder on the disk that is measured, with trees to copy and, for a while, a file system in a file over it.
final class StagingGround {
    private let folder: String
    private let descriptor: Int32
    private var isMounted = false

    init(_ above: String) throws(HarnessError) {
        var template = Array("\(above)/burst-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("\(above): errno \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(folder, 0o755)
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    deinit { close(descriptor) }

    /// Where trees and copies are: on the image while it is mounted.
    func path(_ name: String) -> String { folder + (isMounted ? "/fs/" : "/") + name }

    var fileSystem: String {
        let lines = Fixtures.text("/proc/self/mountinfo").split(separator: "\n").map { $0.split(separator: " ") }
        let holders = lines.filter { $0.count > 9 && (folder + "/").hasPrefix($0[4] == "/" ? "/" : $0[4] + "/") }
        guard let last = holders.max(by: { $0[4].utf8.count <= $1[4].utf8.count }),
            let dash = last.firstIndex(of: "-")
        else { return "a file system" }
        return String(last[dash + 1])
    }

    // MARK: Folders

    func make(_ name: String, when condition: Bool = true) {
        guard condition else { return }
        mkdir(path(name), 0o755)
        chown(path(name), StagingBench.owner, StagingBench.owner)
    }

    func remove(_ name: String) {
        _ = try? PipedProgram.run(
            ["/usr/bin/rm", "-rf", "--one-file-system", "--", path(name)], environment: [:], seconds: 1800)
    }

    /// A tree of small files of a size in folders of 1000, or so many, and of large ones.
    /// - Returns: its path.
    func makeTree(
        _ name: String, small: Int = 0, folders: Int? = nil, large: Int = 0, megabytes: Int = 0
    ) throws(HarnessError) -> String {
        make(name)
        var noise = Noise()
        let folders = folders ?? max(1, small / 1000)
        for index in 0..<(small > 0 ? folders : 0) {
            let inner = "\(name)/folder\(index)"
            make(inner)
            let (first, end) = (small * index / folders, small * (index + 1) / folders)
            for file in first..<end {
                try write(path("\(inner)/file\(file)"), StagingBench.smallBytes, &noise)
            }
        }
        for index in 0..<large { try write(path("\(name)/large\(index)"), megabytes << 20, &noise) }
        return path(name)
    }

    private func write(_ path: String, _ count: Int, _ noise: inout Noise) throws(HarnessError) {
        let fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard fd >= 0 else { throw HarnessError("\(path): errno \(errno)") }
        defer { close(fd) }
        fchown(fd, StagingBench.owner, StagingBench.owner)
        var left = count
        while left > 0 {
            let bytes = noise.next(left)
            guard Glibc.write(fd, bytes.baseAddress, bytes.count) == bytes.count else {
                throw HarnessError("\(path): errno \(errno)")
            }
            left -= bytes.count
        }
    }

    /// Content that neither repeats nor shrinks, as fast as the disk takes it.
    private struct Noise {
        private let block = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: 1 << 17)
        private var state: UInt64 = 0x9e37_79b9_7f4a_7c15

        mutating func next(_ most: Int) -> UnsafeRawBufferPointer {
            let words = min(block.count, (most + 7) / 8)
            for index in 0..<words {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                block[index] = state
            }
            return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(block)[..<min(most, words * 8)])
        }
    }

    // MARK: The disk

    func sync() throws(HarnessError) {
        let fd = open(path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(fd) }
        guard fd >= 0, bb_sync_file_system(fd) == 0 else { throw HarnessError("syncfs: errno \(errno)") }
    }

    func dropCaches() throws(HarnessError) {
        try sync()
        guard bb_sync_file_system(descriptor) == 0 else { throw HarnessError("syncfs: errno \(errno)") }
        let fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC)
        defer { close(fd) }
        guard fd >= 0, Glibc.write(fd, "3", 1) == 1 else { throw HarnessError("drop_caches: errno \(errno)") }
    }

    /// XFS in a file, at `path`.
    func mountImage(megabytes: Int) throws(HarnessError) {
        let image = folder + "/image"
        let fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0, ftruncate(fd, megabytes << 20) == 0 else { throw HarnessError("image: errno \(errno)") }
        close(fd)
        mkdir(folder + "/fs", 0o755)
        for words in [["/usr/sbin/mkfs.xfs", "-q", image], ["/usr/bin/mount", "-o", "loop", image, folder + "/fs"]] {
            let result = try PipedProgram.run(words, environment: ["PATH": "/usr/sbin:/usr/bin"], seconds: 120)
            guard result.end == .exited(0) else { throw HarnessError("\(words[0]): \(result.errorText)") }
        }
        isMounted = true
    }

    func unmountImage() {
        _ = try? PipedProgram.run(["/usr/bin/umount", folder + "/fs"], environment: [:], seconds: 300)
        isMounted = false
        unlink(folder + "/image")
        rmdir(folder + "/fs")
    }
}
