import BurstClient
import BurstModel
import BurstStager
import Glibc

/// What lies beside the socket for those who must not wait for the stager, or who ask while it is away (see
/// `SocketPlaces.stagerFolder`). Each file is replaced whole. None of it is private.
struct StagerFiles: Sendable {
    let folder: String
    private let zone: LocalTime.Zone

    init(socket: String, zone: LocalTime.Zone) throws(StateFault) {
        folder = SocketPlaces.stagerFolder(socket: socket)
        self.zone = zone
        try Folders.make(folder, mode: 0o755)
        try Folders.make(folder + "/paths", mode: 0o755)
    }

    /// The tables of `dwstat`, as they are told while nobody answers.
    func writeTables(_ snapshot: StagerSnapshot) throws(StateFault) {
        let tables = Dwstat(selection: .all).answer(snapshot, viewer: .nobody, zone: zone)
        try write("dwstat", tables)
    }

    /// The time in the first line tells a reader that we live.
    func writePools(_ snapshot: StagerSnapshot) throws(StateFault) {
        let time = Array("\(snapshot.at.milliseconds / 1000)\n".utf8)
        try write("pools", time + SlurmDocument.pools.bytes(snapshot))
    }

    func writePaths(_ token: String, _ lines: [String]) throws(StateFault) {
        try write("paths/" + token, Array(lines.map { $0 + "\n" }.joined().utf8))
    }

    func removePaths(_ token: String) { unlink(folder + "/paths/" + token) }

    /// Names of all that have a file.
    var tokensWithPaths: [String] { JobFiles.names(in: folder + "/paths").filter { !$0.hasPrefix(".") } }

    private func write(_ name: String, _ bytes: [UInt8]) throws(StateFault) {
        let path = folder + "/" + name
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let new = path[..<slash] + "/." + path[path.index(after: slash)...] + ".new"
        unlink(String(new))
        let file = Glibc.open(String(new), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw .system(String(new), errno) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else {
                let number = errno
                close(file)
                unlink(String(new))
                throw .system(path, number)
            }
            written += count
        }
        // Whatever the umask says.
        _ = fchmod(file, 0o644)
        close(file)
        guard rename(String(new), path) == 0 else { throw .system(path, errno) }
    }
}
