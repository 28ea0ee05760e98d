import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskArguments, maskJson, maskSecretsInJsonText, maskSecretsInText, maskSecretsInYamlText } from '../src/mask.ts';

const SECRET = 'hunter2-Zq9xW7';

describe('masking', () => {
  it.each([
    ['{"log-opts": {"splunk-token": "S", "splunk-url": "https://x"}}', '{"log-opts": {"splunk-token": "***", "splunk-url": "https://x"}}'],
    ['{\n\t"http-proxy": "http://u:S@proxy:3128", "no-proxy": "x"\n}', '{\n\t"http-proxy": "http://***@proxy:3128", "no-proxy": "x"\n}'],
    ['{"registry-mirrors": ["https://S@mirror", "https://m"]}', '{"registry-mirrors": ["https://***@mirror", "https://m"]}'],
    ['{"auths": {"r": {"auth": "S"}}, "credentials": {"a": ["S", 7]}}', '{"auths": {"r": {"auth": "***"}}, "credentials": {"a": ["***", "***"]}}'],
    ['{"headers": "Authorization: Bearer S"}', '{"headers": "Authorization: ***"}'],
    ['{"labels": ["token=S", "team=a"], "exec-opts": ["native.cgroupdriver=systemd"]}', '{"labels": ["token=***", "team=a"], "exec-opts": ["native.cgroupdriver=systemd"]}'],
    ['{"authorization-plugins": ["opa"], "tlskey": "/etc/docker/key.pem", "icc": false}', '{"authorization-plugins": ["opa"], "tlskey": "/etc/docker/key.pem", "icc": false}'],
    ['{"https-proxy": "http://u:a/b@S@proxy:1"}', '{"https-proxy": "http://***@proxy:1"}'],
    ['{"splunk-token": "S",', '{"splunk-token": "***",'],
    ['{"tok\\u0065n": "S"}', '{"tok\\u0065n": "***"}'],
  ])('%s', (text, expected) => {
    expect(maskSecretsInJsonText(text.replaceAll('S"', `${SECRET}"`).replaceAll('S@', `${SECRET}@`))).toBe(expected);
  });

  it.each([
    ['ExecStart=/usr/bin/dockerd --log-opt splunk-token=S --icc=false', 'ExecStart=/usr/bin/dockerd --log-opt splunk-token=*** --icc=false'],
    ['Environment="HTTP_PROXY=http://u:S@p:1" "API_TOKEN=S"', 'Environment="HTTP_PROXY=http://***@p:1" "API_TOKEN=***"'],
    ['DOCKER_OPTS="--label password=S -D"', 'DOCKER_OPTS="--label password=*** -D"'],
    ["DB_PASSWORD='S S'", "DB_PASSWORD='***'"],
    ['curl -fs http://x/ -u admin:S', 'curl -fs http://x/ -u admin:***'],
    ['CMD mysqladmin ping -h x -u root -pS', 'CMD mysqladmin ping -h x -u root -p***'],
    ['redis-cli -h x -a S ping', 'redis-cli -h x -a *** ping'],
    ['docker run app --password S --user me', 'docker run app --password *** --user me'],
    ["app --api-key 'S S' --token", "app --api-key '***' --token"],
    ['CMD ["app", "--password", "S", "--authorization-plugin", "opa"]', 'CMD ["app", "--password", "***", "--authorization-plugin", "opa"]'],
    ['docker run -e PLAIN=S -u 1000:1000 --env "OTHER=S" x', 'docker run -e PLAIN=*** -u 1000:1000 --env "OTHER=***" x'],
  ])('%s', (text, expected) => {
    expect(maskSecretsInText(text.replace(/S(?=[\s"'@]|$)/g, SECRET))).toBe(expected);
  });

  it('comes to an end with a text of a megabyte, whatever it is made of', () => {
    for (const piece of ['x', 'a=', 'a="', "a='", 'a://', 'eyJ-', '1.', ' ', 'bearer ', 'a@', '\\"', "t='a=", 'curl ', 'curl -u ', 'mysql-', 'mysql -', 'redis-cli ', ' -e "A=', ' -e A="', " -e A='", '--', '--a ', '--token ', '--token "', '"--token", ']) {
      const text = piece.repeat(Math.ceil(2 ** 20 / piece.length));
      expect(maskSecretsInText(`${text} DB_PASSWORD=${SECRET}`)).not.toContain(SECRET);
    }
  });

  it('never lets a secret through, and keeps the lines', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9!#$%^&*()_+{}|<>?~`.,:;'"\\ -]{6,20}$/).map((text) => `${text}Zq9xW7`);
    const name = fc.constantFrom('splunk-token', 'MYSQL_PASSWORD', 'clientSecret', 'api_key', 'auth', 'awslogs-credentials', 'proxy-password');
    fc.assert(fc.property(secret, name, fc.constantFrom(0, 2, '\t'), (text, key, indent) => {
      const value = { icc: false, a: { [key]: text, list: [{ [key]: [text] }] }, 'http-proxy': `http://u:${encodeURIComponent(text)}@h:1/` };
      const written = JSON.stringify(value, null, indent);
      const masked = maskSecretsInJsonText(written);
      expect(masked).not.toContain('Zq9xW7');
      expect(masked.split('\n')).toHaveLength(written.split('\n').length);
      expect(JSON.parse(masked)).toEqual(maskJson(value));
      expect(maskSecretsInJsonText(masked)).toBe(masked);
      expect(maskSecretsInJsonText(written.slice(0, -1))).not.toContain('Zq9xW7');
    }));
  });
});

describe('the texts of compose files', () => {
  it('show no value of an environment, in whatever form it is written, and keep their lines', () => {
    const text = [
      'services:', '  web:', '    environment:', `      PLAIN: ${SECRET}`, `      "QUOTED": "${SECRET}"  # ${SECRET.slice(0, 0)}note`, '      EMPTY:', '      BLOCK: |', `        ${SECRET}`, `      FOLDED: ${SECRET}`, `        ${SECRET}`, '    image: x',
      '  list:', '    environment:', `      - PLAIN=${SECRET}`, `      - "QUOTED=${SECRET}"`, '      - BARE', `    command: [app, --password=${SECRET}]`, '  flow:', `    environment: { PLAIN: ${SECRET} }`, '    environment_file: x', `    labels: { "a.token": "${SECRET}" }`, '',
    ].join('\n');
    const masked = maskSecretsInYamlText(text);
    expect(masked).not.toContain(SECRET);
    expect(masked.split('\n')).toHaveLength(text.split('\n').length);
    expect(masked).toContain('      PLAIN: ***\n');
    expect(masked).toContain('      - PLAIN=***\n');
    expect(masked).toContain('    image: x\n');
    expect(masked).toContain('    environment_file: x\n');
    expect(maskSecretsInYamlText(masked)).toBe(masked);
  });

  it('show services and networks by their names, and under them what is no secret', () => {
    const text = [
      'services:', '  # for all', '  auth:', '    image: x', '    token:', `      deep: ${SECRET}`, `    password: ${SECRET}`, '    environment:', `      A: ${SECRET}`, '  token-store:   # old', '    read_only: true',
      `  secret: ${SECRET}`, '  cookie: |', `    ${SECRET}`, 'secrets:', '  api_key:', '    file: ./kept', 'x-auth:', `  a: ${SECRET}`, 'x-more:', '  auth:', `    a: ${SECRET}`, '',
    ].join('\n');
    const masked = maskSecretsInYamlText(text);
    expect(masked).not.toContain(SECRET);
    for (const kept of ['  auth:\n    image: x\n', '    read_only: true\n', '    file: ./kept\n']) expect(masked).toContain(kept);
  });

  it('are masked in time', () => {
    for (const piece of ['environment:\n', ' environment: {', '- A=', 'a: b\n', '  ']) expect(maskSecretsInYamlText(piece.repeat(Math.ceil(2 ** 19 / piece.length)))).not.toContain(SECRET);
  });
});

it.each([
  [['app', '--password', 'S', '--token=S', '-v'], ['app', '--password', '***', '--token=***', '-v']],
  [['CMD', 'redis-cli', '-a', 'S', 'ping'], ['CMD', 'redis-cli', '-a', '***', 'ping']],
  [['/usr/bin/curl', '-u', 'admin:S', 'http://x'], ['/usr/bin/curl', '-u', 'admin:***', 'http://x']],
  [['mysqladmin', 'ping', '-pS'], ['mysqladmin', 'ping', '-p***']],
  [['sh', '-c', 'curl -u admin:S x'], ['sh', '-c', 'curl -u admin:*** x']],
])('the words of a command: %j', (words, expected) => expect(maskArguments(words)).toEqual(expected));
