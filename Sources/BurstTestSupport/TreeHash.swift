import CSys
import Glibc

/// What a tree is: for each path below its top a line with type, mode, owner, size, time, link text, extended
/// attributes, access lists, the names that are one file, and a sum of the content (staging.md §5, C1). Two trees are
/// equal when their lines are.
///
/// Written without a look at how the stager copies: it goes by descriptors only to get around the length of paths.
package struct TreeHash: Hashable, Sendable {
    /// By path, as bytes.
    package let lines: [[UInt8]: String]

    /// - Parameter includesTop: the top's own metadata count as well.
    package init(of top: String, includesTop: Bool = false) throws(HarnessError) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw HarnessError("\(top): errno \(errno)") }
        defer { close(fd) }
        var walk = Walk()
        if includesTop {
            var status = stat()
            fstat(fd, &status)
            walk.lines[[]] = "directory \(Self.common(status)) \(Self.attributes(fd))"
        }
        try walk.directory(fd, [])
        for names in walk.names.values where names.count > 1 {
            let sorted = names.sorted { $0.lexicographicallyPrecedes($1) }
            let first = String(decoding: sorted[0], as: UTF8.self)
            for name in names { walk.lines[name]! += " one of \(names.count) from \(first)" }
        }
        lines = walk.lines
    }

    /// Paths at which two trees differ, with both lines; for a test's message.
    package func differences(from other: TreeHash, most: Int = 5) -> [String] {
        Set(lines.keys).union(other.lines.keys).filter { lines[$0] != other.lines[$0] }
            .sorted { $0.lexicographicallyPrecedes($1) }.prefix(most).map { path in
                "\(String(decoding: path, as: UTF8.self)): \(lines[path] ?? "missing") | \(other.lines[path] ?? "missing")"
            }
    }

    fileprivate static func common(_ status: stat) -> String {
        "\(String(status.st_mode & 0o7777, radix: 8)) \(status.st_uid):\(status.st_gid) "
            + "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }

    /// User attributes and access lists, in order.
    fileprivate static func attributes(_ fd: Int32) -> String {
        var names = [CChar](repeating: 0, count: 65536)
        let length = bb_list_attributes(fd, &names, names.count)
        guard length > 0 else { return "" }
        var found: [String] = []
        for name in names[..<length].split(separator: 0) {
            let text = String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("user.") || text.hasPrefix("system.posix_acl") else { continue }
            var value = [UInt8](repeating: 0, count: 65536)
            let count = bb_get_attribute(fd, Array(name) + [0], &value, value.count)
            found.append("\(text)=\(value.prefix(max(0, count)))")
        }
        return found.sorted().joined(separator: " ")
    }

    /// Over the blocks that are not all zeros, with their places: a hole and zeros are the same content.
    fileprivate static func content(_ fd: Int32, _ size: Int) -> String {
        let blockBytes = 4096
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var sum: UInt32 = 0
        var at: Int64 = 0
        while at < Int64(size) {
            let data = bb_seek_data(fd, at)
            if data < 0 { break }
            at = data - data % Int64(blockBytes)
            let count = pread(fd, &buffer, buffer.count, off_t(at))
            guard count > 0 else { break }
            buffer.withUnsafeBytes { bytes in
                var place = 0
                while place < count {
                    let length = min(blockBytes, count - place)
                    if bb_is_zero(bytes.baseAddress! + place, length) == 0 {
                        var offset = at + Int64(place)
                        sum = bb_crc32c(sum, &offset, 8)
                        sum = bb_crc32c(sum, bytes.baseAddress! + place, length)
                    }
                    place += length
                }
            }
            at += Int64(count)
        }
        return String(sum, radix: 16)
    }

    private struct Inode: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    private struct Walk {
        var lines: [[UInt8]: String] = [:]
        var names: [Inode: [[UInt8]]] = [:]

        mutating func directory(_ fd: Int32, _ path: [UInt8]) throws(HarnessError) {
            let copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard copy >= 0, let stream = fdopendir(copy) else { throw HarnessError("opendir: errno \(errno)") }
            var entries: [[CChar]] = []
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { pointer in
                        Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1))
                    }
                }
                if name != [46, 0], name != [46, 46, 0] { entries.append(name) }
            }
            closedir(stream)
            for name in entries { try self.entry(fd, name, path) }
        }

        private mutating func entry(_ fd: Int32, _ name: [CChar], _ folder: [UInt8]) throws(HarnessError) {
            let path = (folder.isEmpty ? [] : folder + [47]) + name.dropLast().map { UInt8(bitPattern: $0) }
            var status = stat()
            guard fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw HarnessError("\(String(decoding: path, as: UTF8.self)): errno \(errno)")
            }
            let common = TreeHash.common(status)
            let inode = Inode(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
            let kind = status.st_mode & S_IFMT
            if kind != S_IFDIR, status.st_nlink > 1 { names[inode, default: []].append(path) }
            switch kind {
            case S_IFDIR:
                let inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                guard inner >= 0 else {
                    lines[path] = "closed directory \(common)"
                    return
                }
                defer { close(inner) }
                lines[path] = "directory \(common) \(TreeHash.attributes(inner))"
                try directory(inner, path)
            case S_IFREG:
                let file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                let content = file >= 0 ? TreeHash.content(file, Int(status.st_size)) : "closed"
                let attributes = file >= 0 ? TreeHash.attributes(file) : ""
                if file >= 0 { close(file) }
                lines[path] = "file \(common) \(status.st_size) \(attributes) \(content)"
            case S_IFLNK:
                var text = [UInt8](repeating: 0, count: 4097)
                let count = text.withUnsafeMutableBytes { readlinkat(fd, name, $0.baseAddress!, 4096) }
                lines[path] = "symlink \(common) \(text.prefix(max(0, count)))"
            default: lines[path] = "special \(String(kind, radix: 8)) \(common)"
            }
        }
    }
}
