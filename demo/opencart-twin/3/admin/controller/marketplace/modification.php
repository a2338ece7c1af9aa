<?php
// Compiles every enabled modification into storage/modification, with the shop in maintenance meanwhile. It answers 302 whatever
// happened: what it finds nothing for stands in ocmod.log alone.
class ControllerMarketplaceModification extends Controller
{
    public function refresh($data = array())
    {
        $this->load->language('marketplace/modification');
        $this->document->setTitle($this->language->get('heading_title'));
        $this->load->model('setting/modification');
        if ($this->user->hasPermission('modify', 'marketplace/modification')) {
            $maintenance = $this->config->get('config_maintenance');
            $this->load->model('setting/setting');
            $this->model_setting_setting->editSettingValue('config', 'config_maintenance', true);
            system('rm -rf ' . escapeshellarg(rtrim(DIR_MODIFICATION, '/')) . '/*');
            $log = array();
            $made = array();
            foreach ($this->model_setting_modification->getModifications() as $row) {
                if ($row['status']) { $this->compile($row['xml'], $made, $log); }
            }
            (new Log('ocmod.log'))->write(implode("\n", $log));
            foreach ($made as $path => $text) {
                $target = DIR_MODIFICATION . $path;
                if (!is_dir(dirname($target))) { mkdir(dirname($target), 0777, true); }
                file_put_contents($target, $text);
            }
            $this->model_setting_setting->editSettingValue('config', 'config_maintenance', $maintenance);
        }
        $this->response->redirect($this->url->link('marketplace/modification', 'user_token=' . $this->session->data['user_token']));
    }

    private function compile($xml, &$made, &$log)
    {
        $xml = simplexml_load_string($xml);
        $log[] = "MOD: $xml->name";
        foreach ($xml->file as $file) {
            $path = (string) $file['path'];
            $log[] = "\nFILE: $path";
            $text = isset($made[$path]) ? $made[$path] : file_get_contents(DIR_CATALOG . substr($path, strlen('catalog/')));
            foreach ($file->operation as $operation) {
                $search = trim((string) $operation->search);
                $log[] = "CODE: $search";
                if (strpos($text, $search) === false) { $log[] = 'NOT FOUND - OPERATION SKIPPED!'; continue; }
                $log[] = 'LINE: ' . substr_count(strstr($text, $search, true), "\n");
                $text = str_replace($search, $search . trim((string) $operation->add), $text);
            }
            $made[$path] = $text;
        }
        $log[] = '----------------------------------------------------------------';
    }
}
