import { type Check, fine, notApplicable, warning } from '../check.ts';

const PROFILE = 'unix-chkpwd';

/** Ubuntu's profile of the host also holds in containers, where it keeps `sudo` of Fedora images from reading /etc/shadow. */
export const apparmor: Check = {
  name: 'apparmor',
  async look({ platform, sandbox, read }) {
    if (platform !== 'linux' || sandbox !== 'runc') return notApplicable('there are no containers');
    const profiles = await read('/sys/kernel/security/apparmor/profiles');
    if (!profiles?.split('\n').includes(`${PROFILE} (enforce)`))
      return fine('no profile that reaches into containers');
    return warning(
      `the profile ${PROFILE} keeps sudo in some images from working (moby#48734)`,
      `ln -s /etc/apparmor.d/${PROFILE} /etc/apparmor.d/disable/; apparmor_parser -R /etc/apparmor.d/${PROFILE}`,
    );
  },
};
