package import BurstModel
import CSys
import Glibc

/// What a job sees of a buffer: names in `mnt/` (staging.md §4.2).
extension PoolFolder {
    /// Which part of a buffer.
    package enum Part: Hashable, Sendable {
        case striped
        /// Of one host.
        case ofHost(String)

        var suffix: String {
            switch self {
            case .striped: "_striped_scratch"
            case .ofHost: "_private_scratch"
            }
        }
    }

    /// The name in `mnt/` of a token: it begins with the token, which ends at the first underscore where it has none
    /// itself (staging.md §1.6).
    package static func exposedName(_ token: String, _ part: Part) -> String { token + part.suffix }

    /// What `DW_JOB_STRIPED` and `DW_JOB_PRIVATE` are set to. It ends with a slash.
    package func exposedPath(_ token: String, _ part: Part) -> String {
        "\(path)/mnt/\(Self.exposedName(token, part))/"
    }

    /// Shows a part of a buffer under a token: as a mount with nodev and nosuid, or, without root, as a symbolic link.
    /// Once or again.
    /// - Returns: the path, which ends with a slash.
    package func expose(
        _ name: PoolInventory.Name, token: String, _ part: Part = .striped
    ) throws(PoolFault) -> String {
        try checkToken(token)
        guard let folder = folder(of: name) else { throw PoolFault(.noBuffer, "buffer \(name)", "is not there") }
        let source: String
        switch part {
        case .striped: source = folder.striped
        case .ofHost(let host):
            guard PoolName.isName(host) else {
                throw PoolFault(.impossible, "host \"\(host)\"", "is no name of a folder", PoolName.rule)
            }
            source = "\(folder.privates)/\(host)"
        }
        return try claiming(name) { () throws(PoolFault) -> String in
            let exposed = Self.exposedName(token, part)
            let target = "\(path)/mnt/\(exposed)"
            if geteuid() == 0 {
                try bind(source, exposed, target)
            } else {
                try link(source, exposed, target)
            }
            return exposedPath(token, part)
        }
    }

    private func checkToken(_ token: String) throws(PoolFault) {
        guard PoolName.isName(token) else {
            throw PoolFault(.impossible, "token \"\(token.prefix(PoolName.bytesMax))\"", "is no name", PoolName.rule)
        }
    }

    private func bind(_ source: String, _ exposed: String, _ target: String) throws(PoolFault) {
        var wanted = stat()
        guard lstat(source, &wanted) == 0, wanted.st_mode & S_IFMT == S_IFDIR else {
            throw PoolFault(.noBuffer, source, "is no folder", "mount the buffer first")
        }
        if let status = Files.status(place.mnt, exposed) {
            // The folder itself stands there already.
            if status.st_dev == wanted.st_dev, status.st_ino == wanted.st_ino { return }
            if status.st_mode & S_IFMT != S_IFDIR { unlinkat(place.mnt.number, exposed, 0) }
        }
        place.step("make the mount point in mnt")
        _ = try Files.makeFolder(place.mnt, exposed, mode: 0o700, "\(path)/mnt")
        // Of an earlier generation of the token.
        try PoolPlace.unmount(target)
        place.step("mount in mnt")
        guard bb_bind(source, target) == 0 else { throw .system(target, "be mounted") }
    }

    private func link(_ source: String, _ exposed: String, _ target: String) throws(PoolFault) {
        let new = "\(path)/mnt/.\(exposed).new"
        unlink(new)
        place.step("link in mnt")
        guard symlink(source, new) == 0, rename(new, target) == 0 else { throw .system(target, "be linked") }
    }

    /// Takes a name out of `mnt/` again, also while processes are inside; they keep what they have open. Once or again.
    /// - Returns: whether nobody was inside.
    @discardableResult
    package func conceal(token: String, _ part: Part = .striped) throws(PoolFault) -> Bool {
        try checkToken(token)
        return try concealName(Self.exposedName(token, part))
    }

    func concealName(_ exposed: String) throws(PoolFault) -> Bool {
        let target = "\(path)/mnt/\(exposed)"
        guard let status = Files.status(place.mnt, exposed) else { return true }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            place.step("remove the link in mnt")
            guard unlinkat(place.mnt.number, exposed, 0) == 0 || errno == ENOENT else {
                throw .system(target, "be removed")
            }
            return true
        }
        place.step("unmount in mnt")
        // Without root nothing is mounted, and asking would be refused.
        let isIdle = geteuid() == 0 ? try PoolPlace.unmount(target) : true
        place.step("remove the mount point in mnt")
        guard unlinkat(place.mnt.number, exposed, AT_REMOVEDIR) == 0 || errno == ENOENT else {
            throw .system(target, "be removed")
        }
        return isIdle
    }
}
