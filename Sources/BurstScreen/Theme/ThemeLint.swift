/// What a good theme keeps to (monitor.md A22). All shipped themes have no findings; a test says so.
package enum ThemeLint {
    /// Roles that are shapes, not text; WCAG asks 3:1 of them (1.4.11).
    package static let shapes: Set<Role> = [.border, .borderFocus, .scroll, .axis, .sparkGap, .poolFree]
    package static let shapeContrastMin = 3.0

    /// The roles of severities. Any two of them must be told apart.
    package static let severities: [Role] = [
        .severityOK, .severityInfo, .severityWarn, .severityCrit, .severityAcknowledged,
    ]

    /// The six classes of buffer states (monitor.md §3.8): waiting, moving in, in use, moving out, ending, broken. Two
    /// states of different classes must be told apart.
    package static let stateClasses: [[Role]] = [
        [.bufferPending, .bufferAllocating],
        [.bufferStagingIn, .bufferStagedIn, .bufferPreRun],
        [.bufferAllocated, .bufferRunning, .bufferSuspended, .bufferPersistent],
        [.bufferPostRun, .bufferStagingOut, .bufferStagedOut],
        [.bufferTeardown, .bufferDeleting, .bufferDeleted, .bufferComplete],
        [.bufferTeardownFail, .bufferAllocRevoke, .bufferUnknown],
    ]

    /// How far apart two roles must look to every kind of eyes, in OKLab, unless their attributes differ. More than
    /// twice
    /// what is just seen between large patches, since text is small.
    package static let distanceMin = 0.05

    /// How far apart two looks are to some eyes: the greater of the distances of their foregrounds and backgrounds;
    /// infinite where one has an attribute that the other has not, since that is seen whatever the eyes. Of the
    /// terminal's own colours the worse of black and white counts.
    package static func distance(_ one: Look, _ other: Look, to sight: Sight) -> Double {
        if one.attributes != other.attributes { return .infinity }
        return colorDistance(one, other, to: sight)
    }

    /// The same by colour alone.
    package static func colorDistance(_ one: Look, _ other: Look, to sight: Sight) -> Double {
        let (black, white) = (RGB(0x000000), RGB(0xffffff))
        return [(fg: white, bg: black), (fg: black, bg: white)].map { terminal in
            max(
                sight.distance(one.fg.nominal ?? terminal.fg, other.fg.nominal ?? terminal.fg),
                sight.distance(one.bg.nominal ?? terminal.bg, other.bg.nominal ?? terminal.bg))
        }.min() ?? 0
    }

    /// The pairs that must be told apart.
    package static var pairs: [(Role, Role)] {
        var pairs: [(Role, Role)] = []
        for (index, one) in severities.enumerated() {
            for other in severities[(index + 1)...] { pairs.append((one, other)) }
        }
        for (index, own) in stateClasses.enumerated() {
            for others in stateClasses[(index + 1)...] {
                for one in own { for other in others { pairs.append((one, other)) } }
            }
        }
        return pairs
    }

    /// What is wrong with a theme where its colours are seen, with 256 colours and with all; a sentence each, none for
    /// a good one.
    package static func findings(_ theme: Theme) -> [String] {
        [ColorDepth.trueColor, .indexed256].flatMap { findings(theme, in: $0) }
    }

    private static func findings(_ theme: Theme, in depth: ColorDepth) -> [String] {
        var findings: [String] = []
        for role in Role.allCases {
            let look = theme.look(for: Style(role), depth: depth)
            // The user's own sixteen colours are what the user made them.
            if look.fg.isOnSixteenColorTerminals && look.bg.isOnSixteenColorTerminals { continue }
            var asked = shapes.contains(role) ? shapeContrastMin : theme.contrastMin
            if depth == .indexed256, theme.appearance == .any, look.bg == .terminalDefault {
                asked *= Theme.contrastKeptOnAnyBackground
            }
            let ratio = theme.contrast(look.fg, on: look.bg)
            if ratio < asked {
                findings.append(
                    "\(role.rawValue) has a contrast of \(hundredths(ratio)), not \(hundredths(asked)) (\(depth))")
            }
        }
        for (one, other) in pairs {
            let looks = [one, other].map { theme.look(for: Style($0), depth: depth) }
            for sight in Sight.allCases {
                let distance = distance(looks[0], looks[1], to: sight)
                if distance < distanceMin {
                    findings.append(
                        "\(one.rawValue) and \(other.rawValue) are only \(hundredths(distance)) apart to \(sight) "
                            + "eyes (\(depth))")
                }
            }
        }
        return findings
    }

    private static func hundredths(_ value: Double) -> String {
        let whole = Int((value * 100).rounded())
        let rest = whole % 100
        return "\(whole / 100)." + (rest < 10 ? "0" : "") + "\(rest)"
    }
}
