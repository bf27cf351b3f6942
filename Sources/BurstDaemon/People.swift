import Glibc
import Synchronization

/// Users and groups of this machine. Names are looked up off the loops: a directory service may take seconds.
package struct People: Sendable {
    package struct User: Hashable, Sendable {
        package var uid: UInt32
        package var gid: UInt32
        package var name: String
    }

    package init() {}

    package func user(uid: UInt32) -> User? {
        Self.find { entry, buffer, count, result in getpwuid_r(uid, entry, buffer, count, result) }
    }

    package func user(named name: String) -> User? {
        Self.find { entry, buffer, count, result in getpwnam_r(name, entry, buffer, count, result) }
    }

    package func groupName(_ gid: UInt32) -> String? {
        var size = 1024
        while size <= Self.bytesMax {
            var entry = group()
            var result: UnsafeMutablePointer<group>?
            var buffer = [CChar](repeating: 0, count: size)
            let (status, name) = buffer.withUnsafeMutableBufferPointer { buffer in
                let status = getgrgid_r(gid, &entry, buffer.baseAddress!, buffer.count, &result)
                return (status, result.map { String(cString: $0.pointee.gr_name) })
            }
            if status != ERANGE { return name }
            size *= 4
        }
        return nil
    }

    private static let bytesMax = 1 << 20

    private static func find(
        _ ask: (
            UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
        ) -> Int32
    ) -> User? {
        var size = 1024
        while size <= bytesMax {
            var entry = passwd()
            var result: UnsafeMutablePointer<passwd>?
            var buffer = [CChar](repeating: 0, count: size)
            let (status, user): (Int32, User?) = buffer.withUnsafeMutableBufferPointer { buffer in
                let status = ask(&entry, buffer.baseAddress!, buffer.count, &result)
                return (
                    status,
                    result.map {
                        User(
                            uid: $0.pointee.pw_uid, gid: $0.pointee.pw_gid, name: String(cString: $0.pointee.pw_name))
                    }
                )
            }
            if status != ERANGE { return user }
            size *= 4
        }
        return nil
    }
}
