/// A batch script of a heterogeneous job, taken apart: one script for each component (spec §3.6). The plugin's own
/// directive is recognised, as 26.05 does (spec §10, Q42).
package enum HetScript {
    package static let componentsMax = 128

    /// - Parameter directive: what stands behind `#`.
    /// - Returns: nil where the script has no `#SBATCH hetjob`.
    package static func split(_ script: String, directive: String) throws(SubmissionFault) -> [String]? {
        let lines = Array(script.utf8).split(separator: 10, omittingEmptySubsequences: false)
        let name = Array(directive.utf8)
        var component = 0
        var isOver = false
        /// Of the head's lines only: the component that each belongs to.
        var owners: [Int?] = []
        for line in lines {
            if !line.isEmpty, line.first != UInt8(ascii: "#") { isOver = true }
            if !isOver, isSeparator(line) { component += 1 }
            owners.append(isOver ? nil : component)
        }
        guard component > 0 else { return nil }
        guard component < componentsMax else {
            throw SubmissionFault(
                .invalidBurstBufferRequest, ["a job has at most \(componentsMax) components, not \(component + 1)"])
        }
        return (0...component).map { wanted in
            wanted == 0 ? first(lines, owners, name) : later(lines, owners, wanted)
        }
    }

    /// `#SBATCH hetjob`, `#SBATCH packjob`, and the same behind `#SLURM`.
    static func isSeparator(_ line: ArraySlice<UInt8>) -> Bool {
        let words = line.split(whereSeparator: ConfigText.isSpace).prefix(2).map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 2 else { return false }
        return ["#SBATCH", "#SLURM"].contains(words[0]) && ["hetjob", "packjob"].contains(words[1])
    }

    private static func first(_ lines: [ArraySlice<UInt8>], _ owners: [Int?], _ name: [UInt8]) -> String {
        var kept: [ArraySlice<UInt8>] = []
        for (line, owner) in zip(lines, owners) {
            let isDirective = line.first == UInt8(ascii: "#") && line.dropFirst().starts(with: name)
            kept.append(isDirective && owner != 0 ? Array("#EXCLUDED ".utf8)[...] + line.dropFirst() : line)
        }
        return text(kept)
    }

    private static func later(_ lines: [ArraySlice<UInt8>], _ owners: [Int?], _ wanted: Int) -> String {
        var kept = [lines[0]]
        for (line, owner) in zip(lines, owners) where owner == wanted && !line.isEmpty && !isSeparator(line) {
            kept.append(line)
        }
        return text(kept) + "\nexit 0\n"
    }

    private static func text(_ lines: [ArraySlice<UInt8>]) -> String {
        String(decoding: Array(lines.joined(separator: [10])), as: UTF8.self)
    }
}
