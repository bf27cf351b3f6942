import CSys
import Glibc

/// An open descriptor, closed with the last reference to it.
final class Descriptor: Sendable {
    let number: Int32

    init(_ number: Int32) {
        precondition(number >= 0)
        self.number = number
    }

    deinit { close(number) }
}

/// Files and folders below a descriptor. Nothing here goes through a symbolic link.
enum Files {
    /// Files of ours are smaller by far.
    static let bytesMax = 64 << 10
    /// Of one folder so many names are listed.
    static let namesMax = 1_000_000

    static func openFolder(_ parent: Descriptor, _ name: String, _ place: String) throws(PoolFault) -> Descriptor {
        let number = bb_open_without_links(parent.number, name, O_RDONLY | O_DIRECTORY, 0)
        guard number >= 0 else { throw .system("\(place)/\(name)", "be opened") }
        return Descriptor(number)
    }

    /// Makes a folder of that mode, whatever the umask; one that is there is left as it is.
    static func makeFolder(
        _ parent: Descriptor, _ name: String, mode: mode_t, _ place: String
    ) throws(PoolFault) -> Descriptor {
        let isNew = mkdirat(parent.number, name, mode) == 0
        guard isNew || errno == EEXIST else { throw .system("\(place)/\(name)", "be made") }
        let folder = try openFolder(parent, name, place)
        if isNew, fchmod(folder.number, mode) != 0 { throw .system("\(place)/\(name)", "get its mode") }
        return folder
    }

    static func status(_ descriptor: Descriptor) -> stat {
        var status = stat()
        _ = fstat(descriptor.number, &status)
        return status
    }

    /// nil: nothing stands there.
    static func status(_ parent: Descriptor, _ name: String) -> stat? {
        var status = stat()
        return fstatat(parent.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    /// The whole of a small regular file; nil where there is none.
    static func read(_ parent: Descriptor, _ name: String, _ place: String) throws(PoolFault) -> [UInt8]? {
        let number = bb_open_without_links(parent.number, name, O_RDONLY | O_NONBLOCK, 0)
        guard number >= 0 else {
            if errno == ENOENT { return nil }
            throw .system("\(place)/\(name)", "be opened")
        }
        let file = Descriptor(number)
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(number, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system("\(place)/\(name)", "be read") }
            if count == 0 { break }
            done += count
        }
        guard done <= bytesMax else {
            throw PoolFault(.damaged, "\(place)/\(name)", "is larger than \(bytesMax) bytes", "it is no file of a pool")
        }
        withExtendedLifetime(file) {}
        return Array(bytes[..<done])
    }

    /// Replaces a file: whole or not at all, on the disk when this returns.
    static func write(
        _ bytes: [UInt8], _ parent: Descriptor, _ name: String, mode: mode_t, _ place: String
    ) throws(PoolFault) {
        let new = name + ".new"
        // Left by a process that was killed.
        unlinkat(parent.number, new, 0)
        let number = bb_open_without_links(parent.number, new, O_WRONLY | O_CREAT | O_EXCL, mode)
        guard number >= 0 else { throw .system("\(place)/\(new)", "be made") }
        var fault: PoolFault?
        do {
            let file = Descriptor(number)
            if fchmod(number, mode) != 0 { fault = .system("\(place)/\(new)", "get its mode") }
            var done = 0
            while done < bytes.count, fault == nil {
                let count = bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress! + done, $0.count - done) }
                if count >= 0 {
                    done += count
                } else if errno != EINTR {
                    fault = .system("\(place)/\(new)", "be written")
                }
            }
            if fault == nil, fsync(number) != 0 { fault = .system("\(place)/\(new)", "be made durable") }
            withExtendedLifetime(file) {}
        }
        if fault == nil, renameat(parent.number, new, parent.number, name) != 0 {
            fault = .system("\(place)/\(name)", "be replaced")
        }
        if let fault {
            unlinkat(parent.number, new, 0)
            throw fault
        }
        try sync(parent, place)
    }

    /// Makes names in a folder last.
    static func sync(_ folder: Descriptor, _ place: String) throws(PoolFault) {
        guard fsync(folder.number) == 0 else { throw .system(place, "be made durable") }
    }

    /// Names in a folder, without `.` and `..`, sorted. Names that are not UTF-8 are left out: none of ours is.
    static func names(_ folder: Descriptor) -> [String] {
        var names: [String] = []
        let again = openat(folder.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard again >= 0, let stream = fdopendir(again) else {
            if again >= 0 { close(again) }
            return []
        }
        defer { closedir(stream) }
        while names.count < namesMax, let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Names this run of the machine.
    static func bootID() -> String {
        let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes[..<max(0, count)].prefix { $0 > 0x20 }, as: UTF8.self)
    }

    static func fileSystem(_ folder: Descriptor, _ place: String) throws(PoolFault) -> bb_file_system {
        var facts = bb_file_system()
        guard bb_file_system(folder.number, &facts) == 0 else { throw .system(place, "be looked at") }
        return facts
    }
}
