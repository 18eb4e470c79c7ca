// SPDX-License-Identifier: GPL-2.0
//! The filter's notifications, and the answers to them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{recvmsg, sendmsg, ControlMessage, ControlMessageOwned, MsgFlags};

use crate::{check, filter};

/// The filter's listener.
#[derive(Debug)]
pub struct Door(OwnedFd);

/// A call `socket(AF_INET, kind, protocol)` that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    id: u64,
    /// The thread that called, in the supervisor's numbers.
    pub pid: u32,
    /// `SOCK_STREAM`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` as they were given.
    pub kind: i32,
    /// 0 or `IPPROTO_TCP`.
    pub protocol: i32,
}

impl Door {
    /// Puts the filter on the calling thread and all that it will start, for ever. Without
    /// `CAP_SYS_ADMIN` they also cannot gain privileges by running a file any more
    /// (`PR_SET_NO_NEW_PRIVS`).
    ///
    /// # Errors
    ///
    /// As `seccomp(2)`: `EBUSY` when there is such a door already, `EINVAL` when the kernel has
    /// none.
    pub fn install(ipv4_only: bool) -> io::Result<Door> {
        match Door::filter(ipv4_only) {
            Err(e) if e.raw_os_error() == Some(libc::EACCES) => {
                // SAFETY: prctl with integers only.
                check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
                Door::filter(ipv4_only)
            }
            outcome => outcome,
        }
    }

    fn filter(ipv4_only: bool) -> io::Result<Door> {
        let mut program = filter::program(ipv4_only);
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: The program and its description live over the call; the kernel copies them.
        let fd = check(unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER),
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const filter,
            )
        })?;
        // SAFETY: A new descriptor, which is nobody else's.
        Ok(Door(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Hands the door over to another process.
    ///
    /// # Errors
    ///
    /// As `sendmsg(2)`.
    pub fn send(self, to: &UnixStream) -> io::Result<()> {
        let fds = [self.0.as_raw_fd()];
        sendmsg::<()>(
            to.as_raw_fd(),
            &[IoSlice::new(b"door")],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::empty(),
            None,
        )?;
        Ok(())
    }

    /// Takes what [`Door::send`] hands over; `None` when the other process ended without.
    ///
    /// # Errors
    ///
    /// As `recvmsg(2)`.
    pub fn take(from: &UnixStream) -> io::Result<Option<Door>> {
        let mut word = [0; 4];
        let mut control = nix::cmsg_space!(i32);
        let mut slices = [IoSliceMut::new(&mut word)];
        let message = recvmsg::<()>(
            from.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        for cmsg in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = cmsg {
                // SAFETY: The kernel has just made them for us.
                let mut fds = fds.iter().map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) });
                return Ok(fds.next().map(Door));
            }
        }
        Ok(None)
    }

    /// Waits for a call; `None` when nobody is left who could make one.
    ///
    /// # Errors
    ///
    /// As `seccomp_unotify(2)`.
    pub fn receive(&self) -> io::Result<Option<Request>> {
        loop {
            let mut wait = libc::pollfd {
                fd: self.0.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: One pollfd, which lives over the call.
            match check(unsafe { libc::poll(&mut wait, 1, -1) }.into()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            };
            if wait.revents & libc::POLLIN == 0 {
                return Ok(None);
            }
            // SAFETY: All zeros are a value of this struct of integers, and what the kernel wants.
            let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: The struct is the one that this request fills.
            let received = check(unsafe {
                let fd = self.0.as_raw_fd();
                libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call).into()
            });
            match received {
                // The caller was killed, or a signal came.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                Err(e) => return Err(e),
                Ok(_) => {
                    return Ok(Some(Request {
                        id: call.id,
                        pid: call.pid,
                        kind: call.data.args[1] as i32,
                        protocol: call.data.args[2] as i32,
                    }))
                }
            }
        }
    }

    /// Answers a call with a copy of `socket`, close-on-exec if that was asked for. A caller that
    /// is gone meanwhile is no error.
    ///
    /// # Errors
    ///
    /// As `seccomp_unotify(2)`: `EMFILE` when the caller has too many files.
    pub fn give(&self, request: &Request, socket: BorrowedFd<'_>) -> io::Result<()> {
        let mut answer = libc::seccomp_notif_addfd {
            id: request.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: socket.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if request.kind & libc::SOCK_CLOEXEC != 0 {
                libc::O_CLOEXEC as u32
            } else {
                0
            },
        };
        // SAFETY: The struct is the one that this request reads.
        let given = check(unsafe {
            let fd = self.0.as_raw_fd();
            libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut answer).into()
        });
        gone_is_done(given)
    }

    /// Answers a call with an error number.
    ///
    /// # Errors
    ///
    /// As `seccomp_unotify(2)`.
    pub fn refuse(&self, request: &Request, errno: i32) -> io::Result<()> {
        let mut answer = libc::seccomp_notif_resp {
            id: request.id,
            val: 0,
            error: -errno,
            flags: 0,
        };
        // SAFETY: The struct is the one that this request reads.
        let sent = check(unsafe {
            let fd = self.0.as_raw_fd();
            libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer).into()
        });
        gone_is_done(sent)
    }
}

fn gone_is_done(outcome: io::Result<libc::c_long>) -> io::Result<()> {
    match outcome {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        outcome => outcome.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd};
    use std::thread;

    /// What a thread behind the door gets for its call, when `answer` answers it.
    fn call(
        kind: i32,
        answer: impl FnOnce(&Door, &Request) -> io::Result<()>,
    ) -> Result<OwnedFd, io::Error> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let caller = thread::spawn(move || {
            Door::install(false).unwrap().send(&theirs).unwrap();
            // SAFETY: Integers only; the descriptor is new.
            unsafe {
                let fd = check(libc::socket(libc::AF_INET, kind, 0).into())?;
                Ok(OwnedFd::from_raw_fd(fd as i32))
            }
        });
        let door = Door::take(&ours).unwrap().unwrap();
        let request = door.receive().unwrap().unwrap();
        assert_eq!((request.kind, request.protocol), (kind, 0));
        answer(&door, &request).unwrap();
        let outcome = caller.join().unwrap();
        // Nobody is left behind it.
        assert_eq!(door.receive().unwrap(), None);
        outcome
    }

    #[test]
    fn a_call_is_answered_with_our_socket() {
        let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let got = call(kind, |door, request| door.give(request, given.as_fd())).unwrap();
        assert_ne!(got.as_raw_fd(), given.as_raw_fd());
        let got = std::net::TcpListener::from(got);
        assert_eq!(got.local_addr().unwrap(), given.local_addr().unwrap());
    }

    #[test]
    fn a_call_is_answered_with_an_error() {
        let refused = call(libc::SOCK_STREAM, |door, request| {
            door.refuse(request, libc::EAFNOSUPPORT)
        });
        assert_eq!(
            refused.unwrap_err().raw_os_error(),
            Some(libc::EAFNOSUPPORT)
        );
    }

    #[test]
    fn who_ends_without_a_door_hands_over_none() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Door::take(&ours).unwrap().is_none());
    }
}
