/// Times as users write them for Slurm's commands: limits (`sbatch --time`) and moments (`--begin`), sbatch(1).
package enum TimeText {
    package enum Limit: Hashable, Sendable {
        case minutes(UInt32)
        case unlimited
        case invalid
    }

    /// `MINUTES`, `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`, `INFINITE`, `UNLIMITED`, `-1`; a part of a minute
    /// counts as a whole one. 0 is a limit here; sbatch takes it for none.
    package static func limit(_ text: some StringProtocol) -> Limit {
        switch text.lowercased() {
        case "-1", "infinite", "unlimited": return .unlimited
        default: break
        }
        guard let seconds = seconds(Array(text.utf8)) else { return .invalid }
        let minutes = (seconds + 59) / 60
        guard minutes < UInt64(UInt32.max) - 1 else { return .invalid }
        return .minutes(UInt32(minutes))
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard (1...10).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + UInt64(digit - 0x30)
        }
        return value
    }

    private static func seconds(_ bytes: [UInt8]) -> UInt64? {
        let halves = bytes.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        let fields = halves[halves.count - 1].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var numbers: [UInt64] = []
        for field in fields {
            guard let number = number(field) else { return nil }
            numbers.append(number)
        }
        guard numbers.count <= 3 else { return nil }
        if halves.count == 2 {
            guard let days = number(halves[0]) else { return nil }
            while numbers.count < 3 { numbers.append(0) }
            return days * 86400 + numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        }
        switch numbers.count {
        case 1: return numbers[0] * 60
        case 2: return numbers[0] * 60 + numbers[1]
        default: return numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        }
    }
}
