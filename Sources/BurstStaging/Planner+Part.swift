import Glibc
import Synchronization

/// One part of an order that several hosts share (staging.md §4.8).
extension Planner {
    private static let entryBytesMax = 1 << 20

    /// Hands out what the part's list names. Folders get their own metadata from the run that finishes.
    func planPart(_ list: [UInt8]) throws(SystemFault) {
        let fd = try check(open(chars(list), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "open")
        defer { close(fd) }
        var chain = Chain()
        var block = [UInt8](repeating: 0, count: 64 << 10)
        var entry: [UInt8] = []
        while !run.isStopping {
            let count = try check(read(fd, &block, block.count), "read")
            if count == 0 { break }
            for byte in block[..<count] {
                if byte != 0 {
                    entry.append(byte)
                    guard entry.count <= Self.entryBytesMax else {
                        throw SystemFault("an entry of the part is longer than \(Self.entryBytesMax) bytes", EINVAL)
                    }
                    continue
                }
                if !run.isStopping { try take(entry, &chain) }
                entry.removeAll(keepingCapacity: true)
            }
        }
        release(&chain, keeping: 0)
        forgetFolders()
    }

    /// The folders of the entry before, from the transfer's top down: usually those of the next one too.
    private struct Chain {
        var transfer = -1
        var names: [[UInt8]] = []
        /// One more than names.
        var directories: [Directory] = []
    }

    private func release(_ chain: inout Chain, keeping count: Int) {
        while chain.directories.count > count {
            release(chain.directories.removeLast())
            if !chain.names.isEmpty { chain.names.removeLast() }
        }
    }

    private func take(_ entry: [UInt8], _ chain: inout Chain) throws(SystemFault) {
        let transfers = run.order.transfers
        let number = entry.prefix { $0 != UInt8(ascii: "/") }
        guard let index = Int(String(decoding: number, as: UTF8.self)), transfers.indices.contains(index) else {
            throw SystemFault("an entry of the part names no transfer", EINVAL)
        }
        let transfer = transfers[index]
        let steps = FileName.steps(entry.dropFirst(number.count))
        guard steps.allSatisfy(FileName.isUsable) else {
            throw SystemFault("an entry of the part is no path", EINVAL)
        }
        guard let name = steps.last else {
            switch transfer.kind {
            case .file: tryPlan(transfer) { () throws(SystemFault) in try planFile(index, transfer) }
            case .list: tryPlan(transfer) { () throws(SystemFault) in try planList(index, transfer) }
            case .directory: break
            }
            return
        }
        if chain.transfer != index {
            release(&chain, keeping: 0)
            chain.transfer = index
        }
        if chain.directories.isEmpty {
            var top: Directory?
            tryPlan(transfer) { () throws(SystemFault) in top = try openTop(index, transfer, isPart: true) }
            guard let top else { return }
            chain.directories = [top]
        }
        let folders = steps.dropLast()
        let common = zip(folders, chain.names).prefix { $0 == $1 }.count
        release(&chain, keeping: common + 1)
        for folder in folders.dropFirst(common) {
            let above = chain.directories[chain.directories.count - 1]
            above.pending.wrappingAdd(1, ordering: .relaxed)
            chain.directories.append(Directory(above, chars(folder)))
            chain.names.append(folder)
        }
        add(chain.directories[chain.directories.count - 1], chars(name))
    }

    private func tryPlan(_ transfer: StageOrder.Transfer, _ body: () throws(SystemFault) -> Void) {
        do {
            try body()
        } catch {
            run.fail(transfer.source.bytes, transfer.destination.bytes, error)
        }
    }

    /// What is gone or a folder by now is left to the run that finishes.
    private func add(_ directory: Directory, _ name: [CChar]) {
        do throws(SystemFault) {
            let source = try retrying { () throws(SystemFault) in try directory.pinSource() }
            defer { directory.unpin() }
            var status = stat()
            guard fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                if errno == ENOENT { return }
                throw SystemFault("stat")
            }
            if status.st_mode & S_IFMT == S_IFDIR { return }
            name.withUnsafeBufferPointer { add(directory, $0.baseAddress!, $0.baseAddress!, status, groups: true) }
        } catch {
            if error.number != ENOENT { run.fail(directory, name, target: nil, error) }
        }
    }
}
