/// A session's number: what Slurm and dwstat show, and what folders are named by. Never used twice.
///
/// Sessions, instances, configurations, registrations, activations, fragments, namespaces and workers take their
/// numbers from one counter: an id names one thing, whatever it is (staging.md §1.3).
package struct SessionID: Hashable, Comparable, Codable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package static func < (left: SessionID, right: SessionID) -> Bool { left.number < right.number }
}

/// A copy worker's number: one process, for one session and phase. It outlives the daemon, so it is recorded before the
/// process starts.
package struct WorkerID: Hashable, Comparable, Codable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package static func < (left: WorkerID, right: WorkerID) -> Bool { left.number < right.number }
}

/// Something that the outside was asked to do; its answer names it, so that a late one is known as such.
package struct OperationID: Hashable, Codable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// A client's call until it is answered. The driver gives it out; nothing of it outlives the process.
package struct StagerRequest: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// Who calls, as the socket's peer credentials say.
package struct StagerCaller: Hashable, Sendable {
    package var uid: UInt32
    /// root, SlurmUser or the daemon's own user: may run the verbs of a life (staging.md §4.1).
    package var isOperator: Bool

    package init(uid: UInt32, isOperator: Bool) {
        self.uid = uid
        self.isOperator = isOperator
    }
}

/// A token of one life: a job that runs again has the same token and the next generation (staging.md §1.10).
package struct SessionKey: Hashable, Codable, Sendable {
    package var token: String
    package var generation: UInt64

    package init(token: String, generation: UInt64) {
        self.token = token
        self.generation = generation
    }
}

/// Names that stand in JSON, in tables and in paths: tokens, names of buffers, of pools and of hosts.
package enum StagerName {
    /// Leaves room in a file's name of 255 for what is added to it.
    package static let charactersMax = 128

    /// `[A-Za-z0-9_.-]`, at most `charactersMax`, and neither `.` nor `..`: no apostrophe can reach Slurm's reader of
    /// JSON, and no slash a path.
    package static func isValid(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= charactersMax, name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    /// Slurm reads a token that begins with a digit as a job's id (staging.md §1.3).
    package static func isJobToken(_ name: String) -> Bool {
        name.utf8.first.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
    }
}

/// Texts that Slurm shows in a job's reason: one line, without apostrophes, at most so many bytes (staging.md §1.7).
package enum StagerText {
    package static let bytesMax = 200
    /// Success for Slurm's teardown.
    package static let tokenNotFound = "token not found"
    /// Success for Slurm's data_in, data_out and teardown.
    package static let noMatchingSession = "No matching session"

    /// A copy is under way (`SLURM_BB_BUSY`).
    package static let busy = "BUSY"

    /// What Slurm would read as something else than a failure, whoever wrote it.
    private static let reserved = [tokenNotFound, noMatchingSession, "invalid function", "job_file_valid"]

    /// A text of the world (a worker's, a driver's) in the form that Slurm can show and cannot mistake: control
    /// characters and apostrophes become blanks, reserved words are broken by a hyphen, the end is cut.
    package static func failure(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars {
            line.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f || scalar == "'" ? " " : scalar)
        }
        for word in reserved where line.contains(word) {
            line = line.split(separator: word, omittingEmptySubsequences: false)
                .joined(separator: word.split(separator: " ").joined(separator: "-"))
        }
        // job_file_valid has no blank to replace.
        if line.hasPrefix("job_file_valid") { line = "-" + line }
        while line.utf8.count > bytesMax { line.unicodeScalars.removeLast() }
        return line
    }
}
