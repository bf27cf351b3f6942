/// The name of a batch script's output file, from the pattern that was given to sbatch (sbatch(1), "filename pattern").
///
/// The man page says less than Slurm does; the rest was asked of Slurm 22.05 itself, and %b, which that does not know
/// yet, is the man page's of 26.05.
package struct OutputName: Hashable, Sendable {
    /// Without `--output`, for a job and for a task of an array (sbatch(1)).
    package static let usual = "slurm-%j.out"
    package static let usualOfArray = "slurm-%A_%a.out"
    /// What zeros may fill up a number to; a larger wish is cut.
    package static let widthMax = 10
    /// Stands for the number of a task where there is no array: NO_VAL.
    private static let noTask: UInt32 = 0xffff_fffe

    package var jobID: JobID
    package var arrayJobID: JobID?
    package var arrayTask: UInt32?
    package var jobName: String
    package var user: String
    /// Without its domain.
    package var host: String

    package init(
        jobID: JobID, arrayJobID: JobID? = nil, arrayTask: UInt32? = nil, jobName: String, user: String, host: String
    ) {
        self.jobID = jobID
        self.arrayJobID = arrayJobID
        self.arrayTask = arrayTask
        self.jobName = jobName
        self.user = user
        self.host = host
    }

    /// The path of the file: absolute if the pattern or `folder` is.
    /// - Parameter folder: the job's work folder; what stands in it is not replaced.
    package func path(_ pattern: String, in folder: String) -> String {
        let name = expand(pattern)
        if name.hasPrefix("/") { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The pattern with its symbols replaced. A symbol that is not known stays as it is.
    ///
    /// With a backslash anywhere in it nothing is replaced; each one falls away and leaves what follows it.
    package func expand(_ pattern: String) -> String {
        let bytes = Array(pattern.utf8)
        if bytes.contains(UInt8(ascii: "\\")) { return Self.unescaped(bytes) }
        var name: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "%") else {
                name.append(bytes[index])
                index += 1
                continue
            }
            var after = index + 1
            while after < bytes.count, (0x30...0x39).contains(bytes[after]) { after += 1 }
            let digits = bytes[(index + 1)..<after]
            if digits.isEmpty, after < bytes.count, bytes[after] == UInt8(ascii: "%") {
                name.append(bytes[after])
                index = after + 1
            } else if after < bytes.count, let value = value(of: bytes[after]) {
                name += value.padded(to: Self.width(digits))
                index = after + 1
            } else if digits.isEmpty {
                name.append(bytes[index])
                index += 1
            } else {
                // As Slurm has it: a number that belongs to no symbol stays, its sign does not.
                name += digits
                index = after
            }
        }
        return String(decoding: name, as: UTF8.self)
    }

    private enum Value {
        case number(UInt32)
        case text(String)

        func padded(to width: Int) -> [UInt8] {
            switch self {
            case .number(let number):
                let digits = Array(String(number).utf8)
                return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, width - digits.count)) + digits
            case .text(let text): return Array(text.utf8)
            }
        }
    }

    private func value(of symbol: UInt8) -> Value? {
        switch symbol {
        case UInt8(ascii: "A"): .number((arrayJobID ?? jobID).number)
        case UInt8(ascii: "a"): .number(arrayTask ?? Self.noTask)
        case UInt8(ascii: "b"): .number((arrayTask ?? Self.noTask) % 10)
        // A batch step adds nothing to its job's number, and is the first node's first task.
        case UInt8(ascii: "J"), UInt8(ascii: "j"): .number(jobID.number)
        case UInt8(ascii: "n"), UInt8(ascii: "t"): .number(0)
        case UInt8(ascii: "s"): .text("batch")
        case UInt8(ascii: "N"): .text(host)
        case UInt8(ascii: "u"): .text(user)
        case UInt8(ascii: "x"): .text(jobName)
        default: nil
        }
    }

    private static func width(_ digits: ArraySlice<UInt8>) -> Int {
        var width = 0
        for digit in digits { width = min(width * 10 + Int(digit - 0x30), widthMax) }
        return width
    }

    private static func unescaped(_ bytes: [UInt8]) -> String {
        var name: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\") { index += 1 }
            if index < bytes.count { name.append(bytes[index]) }
            index += 1
        }
        return String(decoding: name, as: UTF8.self)
    }
}
