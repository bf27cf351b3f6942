import BurstModel
import BurstStager
import Glibc

/// The file `listing` beside the socket, from which `dw_wlm_cli` answers `show_sessions` and its like while nobody else
/// does: Slurm forgets the buffers of sessions that a working answer lacks (staging.md §1.10). It is ahead of every
/// answer that tells of a session, and costs as much as what changed: a line is added for each session that is listed
/// or is so no more; once most of it is of the past it is written anew.
///
/// A line that has no end counts for nothing. One thread has it.
final class ListingFile {
    /// Lines that are kept beyond those of the sessions that there are, and as many again.
    private static let spareLines = 4096

    private let path: String
    /// -1: it must be written anew, for its end is not known to be whole.
    private var file: Int32 = -1
    private var lines = 0
    private var listed = 0

    init(folder: String) { path = folder + "/listing" }

    deinit { if file >= 0 { close(file) } }

    /// The file as it must be now.
    func rewrite(_ sessions: [StagerSession]) throws(StateFault) {
        if file >= 0 { close(file) }
        file = -1
        let new = path + ".new"
        unlink(new)
        let fresh = open(new, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard fresh >= 0 else { throw .system(new, errno) }
        // Whatever the umask says.
        _ = fchmod(fresh, 0o644)
        var bytes: [UInt8] = []
        for session in sessions { bytes += SlurmDocument.listing(session) }
        guard Self.write(bytes, to: fresh), rename(new, path) == 0 else {
            let number = errno
            close(fresh)
            unlink(new)
            throw .system(path, number)
        }
        file = fresh
        lines = sessions.count
        listed = sessions.count
    }

    /// One that is listed now, or nil: it is so no more.
    /// - Parameter all: all that are listed, asked for where the file is written anew.
    func note(_ id: SessionID, _ session: StagerSession?, all: () -> [StagerSession]) throws(StateFault) {
        guard file >= 0, lines < 2 * listed + Self.spareLines else { return try rewrite(all()) }
        guard Self.write(session.map(SlurmDocument.listing) ?? SlurmDocument.unlisting(id), to: file) else {
            let number = errno
            close(file)
            file = -1
            throw .system(path, number)
        }
        lines += 1
        listed += session == nil ? -1 : 1
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, $0.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }
}
