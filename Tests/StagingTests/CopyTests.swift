import BurstTestSupport
import CSys
import Glibc
import Testing

/// A copy is the source again, in all that a tree is (staging.md §5, C1 to C4).
@Suite struct CopyTests {
    private func expectEqual(_ bench: StageBench, _ target: String? = nil, includesTop: Bool = true) throws {
        let source = try TreeHash(of: bench.source, includesTop: includesTop)
        let copy = try TreeHash(of: target ?? bench.target, includesTop: includesTop)
        #expect(copy.differences(from: source) == [])
        #expect(copy.lines.count > 1)
    }

    private func expectComplete(_ outcome: StageBench.Outcome) throws {
        #expect(outcome.status == 0, "\(outcome.text) \(outcome.errors)")
        #expect(outcome.errors == "")
        let last = try #require(outcome.last)
        #expect(last["result"].text == "complete")
        #expect(last["percent"].number == 100)
        for kind in ["files", "dirs", "links", "bytes"] {
            #expect(last["\(kind)_done"] == last["\(kind)_total"], "\(kind)")
        }
    }

    @Test(arguments: ["off", "size", "inline", "readback"], ["none", "batch", "file"])
    func aTreeIsTheSameAfterwards(verify: String, durability: String) throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 3, files: 40, bytes: 5000)
        for size in [0, 1, 4095, 4096, 4097, 131_072, 5_000_000] {
            bench.makeFile("\(bench.source)/of-\(size)", StageBench.content(size, seed: UInt64(size)))
        }
        try expectComplete(try bench.run(bench.order("verify \(verify)", "durability \(durability)")))
        try expectEqual(bench)
    }

    @Test func whatComesOutIsWhatWentIn() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 3, files: 40, bytes: 5000)
        try expectComplete(try bench.run(bench.order()))
        unlink(bench.journal)
        bench.makeFolder(bench.folder("out"))
        try expectComplete(try bench.run(bench.order(phase: "stage-out")))
        try expectEqual(bench, bench.folder("out/deep"))
    }

    @Test func modesOwnersTimesAndAttributes() throws {
        let bench = try StageBench()
        let top = bench.source
        for (number, mode) in [0o400, 0o644, 0o755, 0o4755, 0o2755, 0o6711, 0o1644, 0o777].enumerated() {
            bench.makeFile("\(top)/mode\(number)", "x\(number)".utf8, mode: mode_t(mode))
        }
        for (number, mode) in [0o500, 0o555, 0o1777, 0o2775, 0o711, 0o700].enumerated() {
            bench.makeFolder("\(top)/folder\(number)")
            bench.makeFile("\(top)/folder\(number)/inner", "inner".utf8)
            chmod("\(top)/folder\(number)", mode_t(mode))
        }
        bench.makeFolder("\(top)/empty")
        bench.makeFile("\(top)/of-a-further-group", "group".utf8)
        chown("\(top)/of-a-further-group", bench.owner.uid, bench.owner.further)
        chmod("\(top)/of-a-further-group", 0o2750)
        let fd = open("\(top)/mode0", O_RDONLY)
        #expect(bb_set_attribute(fd, "user.one", "value", 5) == 0)
        #expect(bb_set_attribute(fd, "user.empty", "", 0) == 0)
        close(fd)
        let folder = open("\(top)/folder0", O_RDONLY)
        #expect(bb_set_attribute(folder, "user.of-a-folder", "v", 1) == 0)
        // user::rwx user:64002:r-x group::r-- mask::r-x other::---
        let list = Self.accessList
        #expect(bb_set_attribute(folder, "system.posix_acl_default", list, list.count) == 0)
        close(folder)
        let file = open("\(top)/mode1", O_RDONLY)
        #expect(bb_set_attribute(file, "system.posix_acl_access", list, list.count) == 0)
        close(file)
        let old = [timespec(tv_sec: 1, tv_nsec: 123_456_789), timespec(tv_sec: 981_173_106, tv_nsec: 987_654_321)]
        for name in ["mode0", "folder0", "empty"] { utimensat(AT_FDCWD, "\(top)/\(name)", old, 0) }
        utimensat(AT_FDCWD, top, old, 0)
        let outcome = try bench.run(bench.order())
        try expectComplete(outcome)
        #expect(outcome.last?["degraded"].number == 0)
        try expectEqual(bench)
        // Over what is there, with folders that are closed to writing and give lists to what is made in them. The top
        // is the user's own by now.
        unlink(bench.journal)
        try expectComplete(try bench.run(bench.order()))
        try expectEqual(bench, includesTop: false)
    }

    static let accessList: [UInt8] = {
        var bytes: [UInt8] = [2, 0, 0, 0]
        for (tag, rights, id) in [
            (1, 7, UInt32.max), (2, 5, 64002), (4, 4, .max), (16, 5, .max), (32, 0, .max),
        ] as [(UInt16, UInt16, UInt32)] {
            for word in [tag, rights] { withUnsafeBytes(of: word.littleEndian) { bytes += Array($0) } }
            withUnsafeBytes(of: id.littleEndian) { bytes += Array($0) }
        }
        return bytes
    }()

    @Test(.enabled(if: StageBench.Owner.isRoot, "only root makes files of others"))
    func aFileOfAnotherIsOursAndSaidSo() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/theirs", "readable".utf8, mode: 0o4755)
        chown("\(bench.source)/theirs", 64_002, 64_002)
        chmod("\(bench.source)/theirs", 0o6755)
        bench.makeFile("\(bench.source)/of-a-group", "g".utf8, mode: 0o640)
        chown("\(bench.source)/of-a-group", 64_002, bench.owner.further)
        bench.makeFile("\(bench.source)/closed", "g".utf8, mode: 0o600)
        chown("\(bench.source)/closed", 0, 0)
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 1)
        #expect(outcome.last?["degraded"].number == 2)
        #expect(outcome.last?["errors"].number == 1)
        #expect(outcome.last?["message"].text?.contains("EACCES (permission denied)") == true, "\(outcome.text)")
        var status = stat()
        #expect(stat("\(bench.target)/theirs", &status) == 0)
        #expect(status.st_uid == bench.owner.uid)
        #expect(status.st_mode & 0o7777 == 0o755)
        #expect(stat("\(bench.target)/of-a-group", &status) == 0)
        #expect(status.st_gid == bench.owner.further)
        #expect(lstat("\(bench.target)/closed", &status) != 0)
        let report = bench.folder.text(of: "own/report")
        #expect(report.contains("degraded\towner, group\t\(bench.source)/theirs\tin/theirs\n"))
        #expect(report.contains("failed\topen: EACCES (permission denied)\t\(bench.source)/closed\tin/closed\n"))
    }

    @Test func aClosedDirectoryIsNoSuccess() throws {
        let bench = try StageBench()
        bench.makeFolder("\(bench.source)/closed", mode: 0)
        bench.makeFile("\(bench.source)/open", "x".utf8)
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 1)
        #expect(outcome.last?["errors"].number == 1)
        // As far as it can be known, it is the same.
        try expectEqual(bench)
    }

    @Test func hardLinksStayOneFile() throws {
        let bench = try StageBench()
        let top = bench.source
        for folder in 0..<20 { bench.makeFolder("\(top)/folder\(folder)") }
        for group in 0..<100 {
            let first = "\(top)/folder\(group % 20)/first\(group)"
            bench.makeFile(first, "content \(group)".utf8)
            for other in 1...3 { link(first, "\(top)/folder\((group * 7 + other) % 20)/link\(group).\(other)") }
        }
        bench.makeLink("\(top)/symlink", to: "folder1")
        link("\(top)/symlink", "\(top)/symlink-again")
        bench.makeFile("\(top)/outside", "x".utf8)
        link("\(top)/outside", bench.folder("outside"))
        try expectComplete(try bench.run(bench.order()))
        let source = try TreeHash(of: top)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
        unlink(bench.journal)
        try expectComplete(try bench.run(bench.order("threads 1")))
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
        #expect(try bench.temporaries(below: bench.buffer) == [])
    }

    @Test func holesStayHoles() throws {
        let bench = try StageBench()
        let places: [(String, Int64, [Int64])] = [
            ("terabyte", 1 << 40, [1 << 20, 1 << 30, (1 << 39) + 12345]), ("all-hole", 1 << 33, []),
            ("small", 100_000, [50_000]), ("tail", 10 << 20, [0]), ("over-a-part", 300 << 20, [(64 << 20) - 5000]),
            ("over-a-stretch", 40 << 20, [(8 << 20) - 5000, 20 << 20]),
        ]
        for (name, size, data) in places {
            let path = "\(bench.source)/\(name)"
            bench.makeFile(path, [])
            let fd = open(path, O_WRONLY)
            ftruncate(fd, off_t(size))
            for place in data { pwrite(fd, StageBench.content(10_000, seed: 7), 10_000, off_t(place)) }
            fsync(fd)
            close(fd)
        }
        for verify in ["size", "inline", "readback"] {
            bench.startOver()
            try expectComplete(try bench.run(bench.order("verify \(verify)")))
            try expectEqual(bench)
            for (name, _, _) in places {
                var source = stat()
                var target = stat()
                stat("\(bench.source)/\(name)", &source)
                stat("\(bench.target)/\(name)", &target)
                #expect(Double(target.st_blocks) <= 1.05 * Double(source.st_blocks) + 8, "\(verify) \(name)")
            }
        }
    }

    @Test func symbolicLinksAreCopiedAsTheyAre() throws {
        let bench = try StageBench()
        let top = bench.source
        for number in 0..<1500 { bench.makeLink("\(top)/link\(number)", to: "to/nowhere/\(number)") }
        bench.makeLink("\(top)/loop1", to: "loop2")
        bench.makeLink("\(top)/loop2", to: "loop1")
        bench.makeLink("\(top)/itself", to: ".")
        bench.makeLink("\(top)/absolute", to: "/etc/passwd")
        bench.makeLink("\(top)/long", to: String(repeating: "x/", count: 2000))
        let old = [timespec(tv_sec: 5, tv_nsec: 6), timespec(tv_sec: 7, tv_nsec: 8)]
        utimensat(AT_FDCWD, "\(top)/link7", old, AT_SYMLINK_NOFOLLOW)
        try expectComplete(try bench.run(bench.order()))
        try expectEqual(bench)
    }

    static let hostileNames: [[UInt8]] =
        [
            "new\nline", "tab\there", "quote\"and'apostrophe", "$(touch pwned)", "%s%n%41", "back\\slash", "-rf", "--",
            " ",
            "  two  blanks ", "#comment", "u'x'", ".bbpart.other", "*?[a]", "é漢字🙂",
        ].map { Array($0.utf8) } + [
            [0xff, 0xfe, 0x80], [0x61, 0xc3], [0x01, 0x7f, 0x1b], Array(repeating: 0x78, count: 255),
            Array(repeating: 0xff, count: 255),
        ]

    private func chars(_ path: String, _ name: [UInt8]) -> [CChar] {
        (Array(path.utf8) + [47] + name + [0]).map { CChar(bitPattern: $0) }
    }

    private func makeHostile(_ bench: StageBench) {
        for name in Self.hostileNames {
            let fd = open(chars(bench.source, name), O_WRONLY | O_CREAT, 0o640)
            #expect(fd >= 0)
            write(fd, name, name.count)
            fchown(fd, bench.owner.uid, bench.owner.gid)
            close(fd)
        }
    }

    @Test func namesAreBytes() throws {
        let bench = try StageBench()
        makeHostile(bench)
        for name in Self.hostileNames.prefix(4) {
            let folder = chars(bench.source, name + [0x64])
            mkdir(folder, 0o755)
            chown(folder, bench.owner.uid, bench.owner.gid)
            let link = Array(folder.dropLast()) + [CChar(47), 108, 0]
            symlink(chars("x", name), link)
            lchown(link, bench.owner.uid, bench.owner.gid)
        }
        let outcome = try bench.run(bench.order())
        try expectComplete(outcome)
        try expectEqual(bench)
        #expect(!outcome.text.contains("'"))
    }

    @Test(arguments: [true, false]) func namesInListsAreBytes(isZeroSeparated: Bool) throws {
        let bench = try StageBench()
        makeHostile(bench)
        var list: [UInt8] = []
        for name in Self.hostileNames {
            let source = Array("\(bench.source)/".utf8) + name
            if isZeroSeparated {
                list += source + [0] + Array("listed/".utf8) + name + [0]
            } else {
                let target = Array("$DW_JOB_STRIPED/listed/".utf8) + name
                list += Self.quoted(source) + [32] + Self.quoted(target) + [10]
            }
        }
        bench.makeFile(bench.folder("own/list"), list)
        let outcome = try bench.run(
            bench.order(transfers: ["transfer list pfs:\(bench.folder("own/list")) buffer:in"]))
        try expectComplete(outcome)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: "\(bench.target)/listed").differences(from: source) == [])
    }

    private static func quoted(_ name: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [34]
        for byte in name {
            switch byte {
            case 10: bytes += [92, 110]
            case 34, 92: bytes += [92, byte]
            default: bytes.append(byte)
            }
        }
        return bytes + [34]
    }

    @Test func depthBeyondTheLengthOfPaths() throws {
        let bench = try StageBench()
        var fd = open(bench.source, O_RDONLY | O_DIRECTORY)
        let name = String(repeating: "d", count: 40)
        for level in 0..<300 {
            mkdirat(fd, name, 0o755)
            let next = openat(fd, name, O_RDONLY | O_DIRECTORY)
            #expect(next >= 0)
            close(fd)
            fd = next
            fchown(fd, bench.owner.uid, bench.owner.gid)
            guard level % 50 == 49 else { continue }
            let file = openat(fd, "file", O_WRONLY | O_CREAT, 0o644)
            write(file, "deep", 4)
            fchown(file, bench.owner.uid, bench.owner.gid)
            close(file)
        }
        close(fd)
        try expectComplete(try bench.run(bench.order()))
        try expectEqual(bench)
        #expect(try TreeHash(of: bench.target).lines.keys.contains { $0.count > 4096 * 2 })
    }

    @Test func specialFilesAreNeverOpened() throws {
        let bench = try StageBench()
        // A writer that opens it waits for a reader: the copy would be that reader.
        mkfifo("\(bench.source)/fifo", 0o666)
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = "\(bench.source)/socket"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        defer { close(socket) }
        if StageBench.Owner.isRoot {
            #expect(mknod("\(bench.source)/device", S_IFCHR | 0o666, 1 << 8 | 3) == 0)
        }
        bench.makeFile("\(bench.source)/file", "x".utf8)
        let outcome = try bench.run(bench.order())
        try expectComplete(outcome)
        #expect(outcome.last?["skipped"].number == (StageBench.Owner.isRoot ? 3 : 2))
        let report = bench.folder.text(of: "own/report")
        #expect(report.contains("skipped\ta fifo\t\(bench.source)/fifo\tin/fifo\n"))
        #expect(report.contains("skipped\ta socket\t"))
        #expect(try TreeHash(of: bench.target).lines.keys.count == 1)
    }

    @Test func singleFilesAndMissingFolders() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/one", "1".utf8)
        bench.makeLink("\(bench.source)/to-one", to: "one")
        bench.makeFolder("\(bench.buffer)/in")
        bench.makeFile("\(bench.buffer)/in/old", "old content".utf8)
        try expectComplete(
            try bench.run(
                bench.order(transfers: [
                    "transfer file pfs:\(bench.source)/one buffer:in/a/b/c",
                    "transfer file pfs:\(bench.source)/one buffer:in/old",
                    // What the user names himself may be a link.
                    "transfer file pfs:\(bench.source)/to-one buffer:in/linked",
                ])))
        #expect(bench.folder.text(of: "buffer/in/a/b/c") == "1")
        #expect(bench.folder.text(of: "buffer/in/old") == "1")
        #expect(bench.folder.text(of: "buffer/in/linked") == "1")
        unlink(bench.journal)
        bench.makeFolder(bench.folder("out"))
        try expectComplete(
            try bench.run(
                bench.order(
                    transfers: ["transfer file buffer:in/a/b/c pfs:\(bench.folder("out"))/x/y/z"],
                    phase: "stage-out")))
        #expect(bench.folder.text(of: "out/x/y/z") == "1")
    }

    @Test func whatIsMissingIsSaid() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/one", "1".utf8)
        let outcome = try bench.run(
            bench.order(transfers: [
                "transfer file pfs:\(bench.source)/it%27s%20gone buffer:in/a",
                "transfer file pfs:\(bench.source)/one buffer:in/b",
            ]))
        #expect(outcome.status == 1)
        let message = try #require(outcome.last?["message"].text)
        #expect(message.contains("it\\x27s gone -> in/a: ENOENT (no such file or directory)"))
        #expect(message.hasSuffix("; session 4711"))
        #expect(message.utf8.count <= 200)
        #expect(bench.folder.text(of: "buffer/in/b") == "1")
        // With the other policy the first failure ends it.
        bench.startOver()
        bench.makeFile("\(bench.source)/closed", "c".utf8, mode: 0)
        for number in 0..<2000 { bench.makeFile("\(bench.source)/file\(number)", "x".utf8) }
        let stopped = try bench.run(bench.order("on-error stop"))
        #expect(stopped.status == 1)
        #expect(stopped.last?["files_done"].number ?? 0 < 2001)
    }

    @Test func whatWasThereIsReplacedOrInTheWay() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/file", "new".utf8)
        bench.makeFile("\(bench.source)/other", "other".utf8)
        bench.makeFolder("\(bench.source)/folder")
        bench.makeFile("\(bench.source)/folder/inner", "inner".utf8)
        bench.makeFolder("\(bench.buffer)/in")
        bench.makeFolder("\(bench.buffer)/elsewhere")
        bench.makeFolder("\(bench.buffer)/in/other")
        // A link in the way of a folder is not followed, one in the way of a file is replaced.
        bench.makeLink("\(bench.buffer)/in/folder", to: "../elsewhere")
        bench.makeLink("\(bench.buffer)/in/file", to: "../elsewhere/file")
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 1)
        #expect(bench.folder.text(of: "buffer/in/file") == "new")
        #expect(try TreeHash(of: bench.folder("buffer/elsewhere")).lines.isEmpty)
        #expect(try bench.temporaries(below: bench.buffer) == [])
        #expect(outcome.last?["errors"].number ?? 0 >= 2)
    }
}
